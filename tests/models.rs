//! What the networks promise besides timm's numbers: any input, any head, a correct training mode.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{VarBuilder, VarMap};
use effnet::arch::{self, NetworkOptions};
use effnet::models::EfficientNet;
use effnet::weights::{seeded, tensor_shapes};

const CPU: Device = Device::Cpu;

fn seeded_model(name: &str, options: &NetworkOptions) -> EfficientNet {
    let network = arch::find(name).unwrap().network(options).unwrap();
    EfficientNet::new(&network, &seeded::var_builder(0, DType::F32, &CPU)).unwrap()
}

#[test]
fn any_channels_classes_and_sizes() -> Result<()> {
    for name in ["efficientnet_lite0", "tf_efficientnetv2_b0", "efficientnet_b1_pruned"] {
        for (in_chans, num_classes) in [(1, 10), (4, 0), (3, 1)] {
            let options = NetworkOptions { in_chans, num_classes, ..Default::default() };
            let model = seeded_model(name, &options);
            for (h, w) in [(1, 1), (33, 70), (64, 32)] {
                let xs = Tensor::zeros((2, in_chans, h, w), DType::F32, &CPU)?;
                let features = model.forward_features(&xs, false)?;
                let (_, f, fh, fw) = features.dims4()?;
                assert_eq!((fh, fw), (h.div_ceil(32), w.div_ceil(32)), "{name} {h}x{w}");
                let classes = if num_classes == 0 { f } else { num_classes };
                assert_eq!(model.forward(&xs, false)?.dims(), [2, classes]);
                assert_eq!(model.forward_head(&features, true, false)?.dims(), [2, f]);
            }
        }
    }
    Ok(())
}

#[test]
fn every_parameter_gets_a_gradient_in_training() -> Result<()> {
    for name in ["efficientnet_b0", "tf_efficientnetv2_b0"] {
        let options = NetworkOptions { drop_rate: 0.2, num_classes: 3, ..Default::default() };
        let network = arch::find(name).unwrap().network(&options).unwrap();
        let vars = VarMap::new();
        let model = EfficientNet::new(&network, &VarBuilder::from_varmap(&vars, DType::F32, &CPU))?;
        let xs = Tensor::randn(0f32, 1.0, (4, 3, 64, 64), &CPU)?;
        let labels = Tensor::new(&[0u32, 1, 2, 1], &CPU)?;
        let loss = candle_nn::loss::cross_entropy(&model.forward(&xs, true)?, &labels)?;
        let grads = loss.backward()?;
        for (tensor, var) in vars.data().lock().unwrap().iter() {
            if tensor.contains("running_") {
                continue;
            }
            let grad = grads.get(var.as_tensor());
            let grad = grad.unwrap_or_else(|| panic!("{name}: {tensor} has no gradient"));
            let sum: f32 = grad.abs()?.sum_all()?.to_scalar()?;
            assert!(sum.is_finite(), "{name}: {tensor} has the gradient {sum}");
        }
    }
    Ok(())
}

#[test]
fn dropout_and_drop_path_act_in_training_only() -> Result<()> {
    let xs = Tensor::from_vec(seeded::images(0, &[2, 3, 64, 64]), (2, 3, 64, 64), &CPU)?;
    let logits = |model: &EfficientNet, train| -> Result<Vec<f32>> {
        model.forward(&xs, train)?.flatten_all()?.to_vec1()
    };
    let plain = logits(&seeded_model("efficientnet_lite0", &NetworkOptions::default()), false)?;
    for (drop_rate, drop_path_rate) in [(0.5, 0.0), (0.0, 0.5)] {
        let options = NetworkOptions { drop_rate, drop_path_rate, ..Default::default() };
        let model = seeded_model("efficientnet_lite0", &options);
        assert_eq!(logits(&model, false)?, plain);
        assert_ne!(logits(&model, true)?, logits(&model, true)?, "{drop_rate} {drop_path_rate}");
    }
    Ok(())
}

#[test]
fn drop_path_rates_rise_linearly() {
    let options = NetworkOptions { drop_path_rate: 0.2, ..Default::default() };
    let network = arch::find("efficientnet_b0").unwrap().network(&options).unwrap();
    let rates: Vec<f64> = network
        .stages
        .iter()
        .flatten()
        .map(|block| match block {
            arch::Block::DepthwiseSeparable(b) => b.drop_path,
            arch::Block::InvertedResidual(b) => b.drop_path,
            _ => unreachable!("B0 has no other blocks"),
        })
        .collect();
    assert_eq!(rates.len(), 16);
    // timm: drop_path_rate * block_idx / block_count.
    assert!(rates.iter().enumerate().all(|(i, r)| (r - 0.2 * i as f64 / 16.0).abs() < 1e-12));
}

#[test]
fn a_probe_of_the_largest_network_needs_no_memory() -> Result<()> {
    let network = arch::find("efficientnet_l2").unwrap().network(&Default::default()).unwrap();
    let shapes = tensor_shapes(|vb| EfficientNet::new(&network, &vb))?;
    assert!(shapes.contains(&("conv_stem.weight".to_owned(), vec![136, 3, 3, 3])));
    let parameters: usize = shapes
        .iter()
        .filter(|(name, _)| !name.contains("running_"))
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum();
    assert_eq!(parameters, 480_309_308);
    Ok(())
}
