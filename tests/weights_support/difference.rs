//! Compares two checkpoints, tensor by tensor.

use effnet::weights::Checkpoint;

/// What differs between two checkpoints.
pub(crate) fn difference(left: &Checkpoint, right: &Checkpoint) -> Option<String> {
    let names = |checkpoint: &Checkpoint| {
        let mut names: Vec<_> = checkpoint.names().map(str::to_owned).collect();
        names.sort();
        names
    };
    if names(left) != names(right) {
        return Some(format!("{:?} and {:?}", names(left), names(right)));
    }
    left.names().map(str::to_owned).find(|name| {
        left.shape(name) != right.shape(name)
            || left.read_f32(name).unwrap() != right.read_f32(name).unwrap()
    })
}
