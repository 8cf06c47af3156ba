//! A classifier as a single linear layer, with a batch norm between the features and it folded in.

use safetensors::Dtype;

use super::KerasError;
use super::head::Norm;
use crate::weights::Hdf5Error;
use crate::weights::tensor_table::{Body, Entry, TensorTable};
use crate::weights::values::{self, Stored};

/// The variables of a batch norm; those that it lacks are 1 and 0.
const NORM: [(&str, f32); 4] =
    [("gamma", 1.0), ("beta", 0.0), ("moving_mean", 0.0), ("moving_variance", 1.0)];

/// Folds the batch norm `norm` of the features into the layer `dense`, which gets a bias if it has
/// none. Returns notes on what was done.
pub(super) fn classifier(
    file: &[u8],
    header: &mut TensorTable,
    dense: &str,
    norm: Option<&Norm>,
) -> Result<Vec<String>, KerasError> {
    let (kernel_name, bias_name) = (format!("{dense}/kernel"), format!("{dense}/bias"));
    let Some(&kernel_at) = header.index.get(&kernel_name) else { return Ok(Vec::new()) };
    let &[inputs, outputs] = header.entries[kernel_at].shape.as_slice() else {
        return Ok(Vec::new());
    };
    let mut notes = Vec::new();
    if !header.index.contains_key(&bias_name) {
        let shape = vec![outputs];
        let body = Body::Made(vec![0; 4 * outputs]);
        let entry = Entry { name: bias_name.clone(), dtype: Dtype::F32, shape, body, shard: 0 };
        let _ = header.add(entry);
        notes.push(format!("the layer `{dense}` has no bias, which is 0"));
    }
    let Some(Norm { name: norm, epsilon, variables: own }) = norm else { return Ok(notes) };
    let mut kernel = read(file, &header.entries[kernel_at])?;
    let bias_at = header.index.get(&bias_name).copied().unwrap_or(kernel_at);
    let mut bias = read(file, &header.entries[bias_at])?;
    let mut variables = [const { Vec::new() }; 4];
    for (slot, (variable, default)) in variables.iter_mut().zip(NORM) {
        // If it lacks some of the four, the newer files have numbers instead of names.
        let number = own.iter().position(|own| *own == variable);
        let numbered = || header.index.get(&format!("{norm}/{}", number?));
        let found = header.index.get(&format!("{norm}/{variable}")).or_else(numbered);
        let values = match found {
            Some(&at) => read(file, &header.entries[at])?,
            None => vec![default; inputs],
        };
        if values.len() != inputs {
            return Ok(notes);
        }
        *slot = values;
    }
    if bias.len() != outputs || kernel.len() != inputs * outputs {
        return Ok(notes);
    }
    let [gamma, beta, mean, variance] = &variables;
    into_linear(&mut kernel, &mut bias, [outputs, 1], [gamma, beta, mean, variance], *epsilon);
    for (at, values) in [(kernel_at, kernel), (bias_at, bias)] {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        header.entries[at].body = Body::Made(bytes);
        header.entries[at].dtype = Dtype::F32;
    }
    let kept = |entry: &Entry| !entry.name.strip_prefix(norm).is_some_and(|v| v.starts_with('/'));
    header.entries.retain(kept);
    let names = header.entries.iter().enumerate();
    header.index = names.map(|(i, entry)| (entry.name.clone(), i)).collect();
    notes.push(format!("the batch norm `{norm}` was folded into the layer `{dense}`"));
    Ok(notes)
}

/// Folds a batch norm of its inputs into a linear layer, in f64. `strides` are the distances
/// between the weights of neighbouring inputs and of neighbouring outputs; `norm` is scale, shift,
/// mean and variance by input.
pub(crate) fn into_linear(
    weight: &mut [f32],
    bias: &mut [f32],
    strides: [usize; 2],
    norm: [&[f32]; 4],
    epsilon: f64,
) {
    let mut sums: Vec<_> = bias.iter().map(|&value| f64::from(value)).collect();
    for i in 0..norm[0].len() {
        let [gamma, beta, mean, variance] = norm.map(|values| f64::from(values[i]));
        let scale = gamma / (variance + epsilon).sqrt();
        for (o, sum) in sums.iter_mut().enumerate() {
            let weight = &mut weight[i * strides[0] + o * strides[1]];
            let before = f64::from(*weight);
            *sum += (beta - mean * scale) * before;
            *weight = (before * scale) as f32;
        }
    }
    for (bias, sum) in bias.iter_mut().zip(sums) {
        *bias = sum as f32;
    }
}

fn read(file: &[u8], entry: &Entry) -> Result<Vec<f32>, KerasError> {
    let refuse = |reason: &str| {
        let (tensor, reason) = (entry.name.clone(), reason.to_owned());
        KerasError::Hdf5(Hdf5Error::Tensor { tensor, reason })
    };
    let stored = Stored::of(entry.dtype).ok_or_else(|| refuse("holds no floats"))?;
    let bytes = entry.bytes(file, stored.width()).map_err(refuse)?;
    values::to_f32(stored, &bytes).map_err(|_| refuse("holds a value that is not finite"))
}
