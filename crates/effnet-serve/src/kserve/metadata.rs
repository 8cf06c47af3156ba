//! What the server and its models say about themselves.

use effnet::Model;
use effnet::labels::ClassifierActivation;

use super::tensor::Datatype;
use crate::Server;

/// The protocol's name of what runs the models.
pub(super) const PLATFORM: &str = "effnet";

/// The server's name and version.
pub(super) const SERVER: (&str, &str) = ("effnet", env!("CARGO_PKG_VERSION"));

/// Extensions of the protocol, by Triton's names for them.
pub(super) const EXTENSIONS: [&str; 3] =
    ["binary_tensor_data", "classification", "model_repository"];

/// A tensor that a model takes or gives.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    pub(super) datatype: Datatype,
    /// -1 for a dimension of any size.
    pub(super) shape: Vec<i64>,
    pub(super) description: &'static str,
}

/// The outputs that there are; a model may have fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    Logits,
    Probabilities,
    Labels,
    Embedding,
}

impl Made {
    pub(super) const ALL: [Self; 4] =
        [Self::Logits, Self::Probabilities, Self::Labels, Self::Embedding];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Probabilities => "probabilities",
            Self::Labels => "labels",
            Self::Embedding => "embedding",
        }
    }
}

/// The tensors that a model takes, of which a request has one, and those that it gives.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) inputs: Vec<Spec>,
    pub(super) outputs: Vec<Spec>,
}

impl Signature {
    pub(super) fn of(model: &Model) -> Self {
        let provenance = model.provenance();
        let [channels, height, width] = provenance.preprocessing.input_size.value;
        let [channels, height, width] = [channels as i64, height as i64, width as i64];
        let spec = |name, datatype, shape, description| Spec { name, datatype, shape, description };

        let mut inputs = Vec::new();
        // Images have 1, 3 or 4 channels; a network may have others.
        if model.preprocessor().is_ok() {
            inputs.push(spec(
                "image",
                Datatype::Bytes,
                vec![-1],
                "image files; in JSON as base64 text",
            ));
            inputs.push(spec(
                "pixels",
                Datatype::Uint8,
                vec![-1, -1, -1, channels],
                "decoded images of any size (N, height, width, channels), resized and cropped here",
            ));
        }
        inputs.push(spec(
            "input",
            Datatype::Fp32,
            vec![-1, channels, height, width],
            "normalized images (N, channels, height, width), run as they are",
        ));

        let mut outputs = Vec::new();
        let classes = model.num_classes();
        let activation = provenance.activation.value;
        let scored = match (activation, classes) {
            (ClassifierActivation::Sigmoid, 1) => 2,
            _ => classes as i64,
        };
        if classes > 0 {
            outputs.push(spec(
                Made::Logits.name(),
                Datatype::Fp32,
                vec![-1, classes as i64],
                "what the network gives; with the parameter classification, \
                 `logit:index:label` of the best classes, best first",
            ));
            if activation != ClassifierActivation::None {
                outputs.push(spec(
                    Made::Probabilities.name(),
                    Datatype::Fp32,
                    vec![-1, scored],
                    "of every class; with the parameter classification, \
                     `probability:index:label` of the best classes, best first",
                ));
            }
            if model.labels().is_some() {
                outputs.push(spec(
                    Made::Labels.name(),
                    Datatype::Bytes,
                    vec![-1, -1],
                    "names of the best classes, best first: as many as the request's parameter k \
                     says, else 5",
                ));
            }
        }
        let features = model.network().num_features as i64;
        outputs.push(spec(
            Made::Embedding.name(),
            Datatype::Fp32,
            vec![-1, features],
            "the features before the classifier",
        ));
        Self { inputs, outputs }
    }

    /// Whether the model gives this output.
    pub(super) fn makes(&self, made: Made) -> bool {
        self.outputs.iter().any(|spec| spec.name == made.name())
    }
}

/// The versions of a model that answer.
pub(super) fn versions(server: &Server, name: &str) -> Vec<String> {
    let all = server.models().all();
    let versions = all.iter().filter(|loaded| loaded.name == name);
    versions.map(|loaded| loaded.version.clone()).collect()
}

/// The names in a list of tensors, for a message.
pub(super) fn names(specs: &[Spec]) -> String {
    let names: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
    names.join(", ")
}
