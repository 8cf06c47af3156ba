//! The network as a whole (timm's `EfficientNet` of `timm/models/efficientnet.py` and `MobileNetV3` of
//! `timm/models/mobilenetv3.py`, which differ in the head).

use candle_core::{Result, Tensor};
use candle_nn::{Dropout, Linear, Module, ModuleT, VarBuilder};

use super::blocks::Block;
use super::head::Head;
use super::layers::{Conv2d, LayerArgs, NormAct};
use crate::arch::Network;

/// An image classifier: stem, stages of blocks, head.
///
/// Images go in as (N, `in_chans`, H, W), normalized, of any size. All methods take `train`: `false`
/// for inference; `true` uses batch statistics, dropout and drop path.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use effnet::{arch, models::EfficientNet, weights::seeded};
///
/// let network = arch::find("efficientnet_lite0").unwrap().network(&Default::default())?;
/// let model = EfficientNet::new(&network, &seeded::var_builder(0, DType::F32, &Device::Cpu))?;
/// let images = Tensor::zeros((1, 3, 64, 64), DType::F32, &Device::Cpu)?;
/// assert_eq!(model.forward(&images, false)?.dims(), [1, 1000]);
/// assert_eq!(model.forward_features(&images, false)?.dims(), [1, 1280, 2, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct EfficientNet {
    conv_stem: Conv2d,
    bn1: NormAct,
    blocks: Vec<Vec<Block>>,
    head: Head,
    dropout: Option<Dropout>,
    classifier: Option<Linear>,
    stage_ends: Vec<usize>,
}

impl EfficientNet {
    /// Builds `network` from the tensors of `vb`, which have timm's names.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn new(network: &Network, vb: &VarBuilder) -> Result<Self> {
        Self::with_args(network, LayerArgs::from(network), vb)
    }

    /// As [`new`](Self::new), from tensors into which the batch norms are folded
    /// ([`BatchNormAct2d::folded`](super::layers::BatchNormAct2d::folded)): for inference only.
    ///
    /// # Errors
    ///
    /// A tensor that `vb` does not give.
    pub fn folded(network: &Network, vb: &VarBuilder) -> Result<Self> {
        Self::with_args(network, LayerArgs { folded: true, ..LayerArgs::from(network) }, vb)
    }

    fn with_args(network: &Network, args: LayerArgs, vb: &VarBuilder) -> Result<Self> {
        // Tensors are asked for in the order of the computation.
        let conv_stem = Conv2d::new(network.conv_stem(), network.pad_type, &vb.pp("conv_stem"))?;
        let bn1 = NormAct::new(network.stem_chs, args, Some(network.act), &vb.pp("bn1"))?;
        let mut head_chs = network.stem_chs;
        let mut blocks = Vec::with_capacity(network.stages.len());
        for (s, stage) in network.stages.iter().enumerate() {
            let vb = vb.pp("blocks").pp(s);
            let built =
                stage.iter().enumerate().map(|(b, block)| Block::new(block, args, &vb.pp(b)));
            blocks.push(built.collect::<Result<Vec<_>>>()?);
            head_chs = stage.last().map_or(head_chs, |block| block.out_chs());
        }
        Ok(Self {
            conv_stem,
            bn1,
            blocks,
            head: Head::new(network, args, head_chs, vb)?,
            dropout: (network.drop_rate > 0.0).then(|| Dropout::new(network.drop_rate as f32)),
            classifier: match network.num_classes {
                0 => None,
                n => Some(candle_nn::linear(network.num_features, n, vb.pp("classifier"))?),
            },
            stage_ends: network.stage_ends(),
        })
    }

    /// From images to logits (N, `num_classes`); without a classifier, to pooled features (N, F).
    ///
    /// # Errors
    ///
    /// An input with another rank or channel count.
    pub fn forward(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        self.forward_head(&self.forward_features(xs, train)?, false, train)
    }

    /// From images to the last feature map (N, C, h, w), before pooling. If the head pools first,
    /// this is the last block's output.
    ///
    /// # Errors
    ///
    /// An input with another rank or channel count.
    pub fn forward_features(&self, xs: &Tensor, train: bool) -> Result<Tensor> {
        let xs = self.walk(xs, train, |_, _, _| {})?;
        self.head.features(&xs, train)
    }

    /// From the last feature map to logits; with `pre_logits`, to the pooled features (N, F) that
    /// the classifier reads.
    ///
    /// # Errors
    ///
    /// A feature map with another rank or channel count.
    pub fn forward_head(&self, xs: &Tensor, pre_logits: bool, train: bool) -> Result<Tensor> {
        let mut xs = self.head.pool(xs, train)?;
        if let Some(dropout) = &self.dropout {
            xs = dropout.forward(&xs, train)?;
        }
        match &self.classifier {
            Some(classifier) if !pre_logits => classifier.forward(&xs),
            _ => Ok(xs),
        }
    }

    /// From images to one map, `stages.N` or `features`; nothing behind it is computed.
    ///
    /// # Errors
    ///
    /// An input with another rank or channel count, or a map that does not exist.
    ///
    /// ```
    /// # use candle_core::{DType, Device, Tensor};
    /// # use effnet::{arch, models::EfficientNet, weights::seeded};
    /// let network = arch::find("efficientnet_lite0").unwrap().network(&Default::default())?;
    /// let model = EfficientNet::new(&network, &seeded::var_builder(0, DType::F32, &Device::Cpu))?;
    /// let images = Tensor::zeros((1, 3, 64, 64), DType::F32, &Device::Cpu)?;
    /// let map = model.forward_to("stages.2", &images, false)?;
    /// assert_eq!(map.dims(), [1, 40, 8, 8]);
    /// let logits = model.forward_from("stages.2", &map, false)?;
    /// assert_eq!(logits.to_vec2::<f32>()?, model.forward(&images, false)?.to_vec2::<f32>()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forward_to(&self, map: &str, xs: &Tensor, train: bool) -> Result<Tensor> {
        let Some(end) = self.stages_before(map)? else { return self.forward_features(xs, train) };
        let xs = self.bn1.forward_t(&self.conv_stem.forward(xs)?, train)?;
        forward_stages(&self.blocks[..end], xs, train)
    }

    /// From one map, `stages.N` or `features`, to logits.
    ///
    /// # Errors
    ///
    /// A map with another rank or channel count, or one that does not exist.
    pub fn forward_from(&self, map: &str, xs: &Tensor, train: bool) -> Result<Tensor> {
        let features = match self.stages_before(map)? {
            None => xs.clone(),
            Some(end) => {
                let xs = forward_stages(&self.blocks[end..], xs.clone(), train)?;
                self.head.features(&xs, train)?
            }
        };
        self.forward_head(&features, false, train)
    }

    /// How many stages of blocks compute this map; `None` for the features.
    fn stages_before(&self, map: &str) -> Result<Option<usize>> {
        if map == "features" {
            return Ok(None);
        }
        let number = map.strip_prefix("stages.").and_then(|number| number.parse::<usize>().ok());
        match number.and_then(|number| self.stage_ends.get(number)) {
            Some(&end) => Ok(Some(end)),
            None => candle_core::bail!("the network has no map `{map}`"),
        }
    }

    /// From images to the outputs with these names, in this order: `logits`, `pre_logits`,
    /// `features`, `stages.N` (timm's `forward_intermediates` with its default `indices`) and
    /// `blocks.N.M`, as [`arch::Graph`](crate::arch::Graph) names its taps.
    ///
    /// # Errors
    ///
    /// An input with another rank or channel count, or an output that does not exist.
    pub fn forward_outputs(
        &self,
        xs: &Tensor,
        outputs: &[&str],
        train: bool,
    ) -> Result<Vec<Tensor>> {
        let mut found: Vec<Option<Tensor>> = vec![None; outputs.len()];
        let mut tap = |name: &str, value: &Tensor| {
            let asked = outputs.iter().zip(&mut found).filter(|(output, _)| **output == name);
            asked.for_each(|(_, found)| *found = Some(value.clone()));
        };
        let xs = self.walk(xs, train, |stage, block, xs| match block {
            Some(b) => tap(&format!("blocks.{}.{b}", stage - 1), xs),
            None => {
                let ends = self.stage_ends.iter().enumerate().filter(|(_, end)| **end == stage);
                ends.for_each(|(n, _)| tap(&format!("stages.{n}"), xs));
            }
        })?;
        let features = self.head.features(&xs, train)?;
        tap("features", &features);
        for (name, pre_logits) in [("pre_logits", true), ("logits", false)] {
            if outputs.contains(&name) {
                tap(name, &self.forward_head(&features, pre_logits, train)?);
            }
        }
        let named = outputs.iter().zip(found);
        let value = |(name, value): (&&str, Option<Tensor>)| match value {
            Some(value) => Ok(value),
            None => candle_core::bail!("the network has no output `{name}`"),
        };
        named.map(value).collect()
    }

    /// From images to the last feature map and the feature map at the end of each resolution
    /// (timm's `forward_intermediates` with its default `indices`); with `extra_blocks`, after the
    /// stem and after every stage.
    ///
    /// # Errors
    ///
    /// An input with another rank or channel count.
    pub fn forward_intermediates(
        &self,
        xs: &Tensor,
        extra_blocks: bool,
        train: bool,
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let mut intermediates = Vec::new();
        let xs = self.walk(xs, train, |stage, block, xs| {
            if block.is_none() && (extra_blocks || self.stage_ends.contains(&stage)) {
                intermediates.push(xs.clone());
            }
        })?;
        Ok((self.head.features(&xs, train)?, intermediates))
    }

    /// From images to the last block's output. `show` receives each block's output, with the
    /// numbers of the stage (from 1) and of the block. It also receives the map after each stage
    /// and, as stage 0, after the stem.
    fn walk(
        &self,
        xs: &Tensor,
        train: bool,
        mut show: impl FnMut(usize, Option<usize>, &Tensor),
    ) -> Result<Tensor> {
        let mut xs = self.bn1.forward_t(&self.conv_stem.forward(xs)?, train)?;
        show(0, None, &xs);
        for (stage, blocks) in self.blocks.iter().enumerate() {
            for (b, block) in blocks.iter().enumerate() {
                xs = block.forward_t(&xs, train)?;
                show(stage + 1, Some(b), &xs);
            }
            show(stage + 1, None, &xs);
        }
        Ok(xs)
    }
}

/// Through these stages of blocks.
fn forward_stages(stages: &[Vec<Block>], mut xs: Tensor, train: bool) -> Result<Tensor> {
    for block in stages.iter().flatten() {
        xs = block.forward_t(&xs, train)?;
    }
    Ok(xs)
}
