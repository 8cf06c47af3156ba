//! A packed network for images of one shape: kernels with sizes and places.

use std::collections::{HashMap, HashSet};

use super::arena::{Region, arrange};
use super::kernel::{Buffer, Conv2d, Input, Kernel, Step};
use super::pack::{GpuError, Layer, Mix, Op, Weight};
use super::{LANES, padded};
use crate::arch::{self, AntiAlias, PadType, Tap, Value};
use crate::engine::fuse::Statistics;

/// Blocks of which the last to run leave little of any GPU of today idle.
const BLOCKS: usize = 4096;
/// Columns that a thread of a depthwise convolution takes, and threads of a block.
const STRIP: usize = 4;
const THREADS: usize = 128;

/// What a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) input: Input,
    pub(crate) images: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// The taps that are written out, in this order.
    pub(crate) outputs: Vec<String>,
}

/// Kernels in their order, and the memory between them.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// Bytes of the arena.
    pub(crate) arena: usize,
    /// Where each region of the arena begins.
    pub(crate) offsets: Vec<usize>,
    /// Shapes of the outputs, in float32.
    pub(crate) outputs: Vec<Vec<usize>>,
}

/// A value in the arena.
#[derive(Debug, Clone, Copy)]
struct Place {
    region: usize,
    /// Height and width; of a vector, none.
    size: Option<[usize; 2]>,
    chs: usize,
}

/// Sums of a map's channels.
#[derive(Debug, Clone, Copy)]
struct Sums {
    region: usize,
    parts: usize,
}

struct Planning<'a> {
    pad_type: PadType,
    shape: &'a Shape,
    /// Bytes of an element of a map.
    element: usize,
    steps: Vec<Step>,
    regions: Vec<Region>,
    places: HashMap<Value, Place>,
    sums: HashMap<Value, Sums>,
    /// The values of which a squeeze-excitation needs sums.
    squeezed: HashSet<Value>,
}

impl Plan {
    /// Plans `layers` for `shape`, with maps of `element` bytes an element.
    ///
    /// # Errors
    ///
    /// Images too small for the network.
    pub(crate) fn new(
        layers: &[Layer],
        taps: &[Tap],
        pad_type: PadType,
        shape: &Shape,
        element: usize,
    ) -> Result<Self, GpuError> {
        let squeezes = |layer: &&Layer| matches!(layer.op, Op::SqueezeExcite { .. });
        let squeezed = layers.iter().filter(squeezes).map(|layer| layer.src[0]).collect();
        let mut planning = Planning {
            pad_type,
            shape,
            element,
            steps: Vec::new(),
            regions: Vec::new(),
            places: HashMap::new(),
            sums: HashMap::new(),
            squeezed,
        };
        let mut outputs = vec![Vec::new(); shape.outputs.len()];
        for layer in layers {
            planning.layer(layer)?;
            for (at, name) in shape.outputs.iter().enumerate() {
                if taps.iter().any(|tap| tap.value == layer.dst && tap.name == *name) {
                    outputs[at] = planning.export(name, layer.dst, at);
                }
            }
        }
        let (offsets, arena) = arrange(&planning.regions);
        Ok(Self { steps: planning.steps, arena, offsets, outputs })
    }
}

impl Planning<'_> {
    fn layer(&mut self, layer: &Layer) -> Result<(), GpuError> {
        let n = self.shape.images;
        let (x, [h, w]) = match layer.src[0] {
            Value::IMAGES => (Buffer::Images, [self.shape.height, self.shape.width]),
            value => (self.read(value), self.places[&value].size.unwrap_or([1, 1])),
        };
        let (act, hw) = (layer.act, h * w);
        let c =
            if layer.src[0] == Value::IMAGES { 0 } else { padded(self.places[&layer.src[0]].chs) };
        let wt = |weight: Weight| Buffer::Weight(weight);
        let residual = layer.residual.map(|value| self.read(value));
        let gate = layer.gate.map(|value| self.read(value));
        let kernel = match &layer.op {
            Op::Stem { conv, wt: weight, bias } => {
                let size = Conv2d { cin: conv.in_chs, ..self.conv(conv, [h, w])? };
                let y = self.map(layer, [size.oh, size.ow]);
                let input = self.shape.input;
                Kernel::Stem { size, input, act, wt: wt(*weight), bias: wt(*bias), y }
            }
            Op::Pointwise { chs: [inputs, out], wt: weight, bias, mix } => {
                let (k, n_out) = (padded(*inputs), padded(*out));
                let (weights, w_stride) = self.mixed(layer, *mix, k * n_out, wt(*weight), false);
                let y = self.map(layer, [h, w]);
                // Rows that share weights are one group, which tiles may cross.
                let (groups, rows) = if mix.is_some() { (n, hw) } else { (1, n * hw) };
                Kernel::Pointwise {
                    groups,
                    rows,
                    k,
                    n: n_out,
                    gate_rows: if gate.is_some() { hw } else { 0 },
                    act,
                    x,
                    wt: weights,
                    w_stride,
                    bias: wt(*bias),
                    gate,
                    residual,
                    y,
                }
            }
            Op::Conv { conv, wt: weight, bias } => {
                let size = self.conv(conv, [h, w])?;
                let y = self.map(layer, [size.oh, size.ow]);
                Kernel::Conv { size, act, x, wt: wt(*weight), bias: wt(*bias), residual, y }
            }
            Op::Grouped { conv, wt: weight, bias } => {
                let size = self.conv(conv, [h, w])?;
                let y = self.map(layer, [size.oh, size.ow]);
                let (groups, real) = (conv.groups, [conv.in_chs, conv.out_chs]);
                let (wt, bias) = (wt(*weight), wt(*bias));
                Kernel::Grouped { size, groups, real, act, x, wt, bias, residual, y }
            }
            Op::Depthwise { conv, wt: weight, bias, mix } => {
                let size = self.conv(conv, [h, w])?;
                let len = size.kernel.pow(2) * size.cin;
                let (weights, w_stride) = self.mixed(layer, *mix, len, wt(*weight), true);
                let y = self.map(layer, [size.oh, size.ow]);
                let parts = parts(&size);
                // A residual would come after the sums.
                let sums = self.squeezed.contains(&layer.dst).then(|| {
                    let region = self.region(n * parts * size.cout * 4);
                    self.sums.insert(layer.dst, Sums { region, parts });
                    Buffer::Region(region)
                });
                let bias = wt(*bias);
                Kernel::Depthwise { size, act, parts, x, wt: weights, w_stride, bias, y, sums }
            }
            Op::Dense { chs: [inputs, out], wt: weight, bias } => {
                let (k, out) = (padded(*inputs), padded(*out));
                let y = self.vector(layer);
                Kernel::Dense { n, k, out, act, x, wt: wt(*weight), bias: wt(*bias), y }
            }
            Op::SqueezeExcite { rd, act, gate, wt: weights, bias } => {
                let known = self.sums.get(&layer.src[0]).copied();
                let (sums, parts, scale) = match known {
                    Some(Sums { region, parts }) => (self.used(region), parts, (hw as f32).recip()),
                    None => (self.pooled(&layer.path, x, hw, c), 1, 1.0),
                };
                let y = self.vector(layer);
                Kernel::SqueezeExcite {
                    n,
                    c,
                    rd: *rd,
                    parts,
                    scale,
                    act: Some(*act),
                    gate: Some(*gate),
                    sums,
                    wt: weights.map(wt),
                    bias: bias.map(wt),
                    y,
                }
            }
            Op::GlobalContext { rd, act, attn, attn_bias, wt: weights, bias, norm } => {
                let scores = Buffer::Region(self.region(n * hw.next_multiple_of(LANES) * 4));
                let y = self.vector(layer);
                Kernel::GlobalContext {
                    n,
                    c,
                    hw,
                    rd: *rd,
                    act: Some(*act),
                    x,
                    scores,
                    attn: wt(*attn),
                    attn_bias: *attn_bias,
                    wt: weights.map(wt),
                    bias: bias.map(wt),
                    norm: norm.map(wt),
                    y,
                }
            }
            &Op::Attention { heads, key_dim } => {
                let [key, value] = [layer.src[1], layer.src[2]];
                let [kh, kw] = self.places[&key].size.unwrap_or([1, 1]);
                let qkv = [x, self.read(key), self.read(value)];
                let stride = [c, padded(self.places[&key].chs)];
                let y = self.map(layer, [h, w]);
                Kernel::Attention { n, positions: [hw, kh * kw], heads, key_dim, stride, qkv, y }
            }
            Op::AntiAlias(aa) => {
                let to = match aa {
                    AntiAlias::Avg => [h, w].map(|side| side / AntiAlias::STRIDE),
                    AntiAlias::Blur => [h, w].map(|side| side.div_ceil(AntiAlias::STRIDE)),
                };
                if to.contains(&0) {
                    return Err(self.too_small());
                }
                let y = self.map(layer, to);
                Kernel::AntiAlias { aa: *aa, n, from: [h, w], to, c, x, y }
            }
            Op::ScaleShift { scale, shift } => {
                let y = self.map(layer, [h, w]);
                Kernel::ScaleShift { rows: n * hw, c, scale: wt(*scale), shift: wt(*shift), x, y }
            }
            Op::Norm { statistics, eps, scale, shift, gate } => {
                let (statistics, real) = (*statistics, layer.chs);
                let of_image = match statistics {
                    Statistics::Groups(size) => real / size,
                    Statistics::Positions => hw,
                };
                let moments = Buffer::Region(self.region(n * of_image * 2 * 4));
                let kernel =
                    Kernel::Moments { n, hw, c, real, statistics, eps: *eps, x, y: moments };
                self.push(&layer.path, kernel);
                for buffer in [Some(x), Some(moments), residual].into_iter().flatten() {
                    self.touch(buffer);
                }
                let y = self.map(layer, [h, w]);
                Kernel::Normalize {
                    n,
                    hw,
                    c,
                    real,
                    statistics,
                    act,
                    x,
                    moments,
                    scale: wt(*scale),
                    shift: wt(*shift),
                    gate: gate.map(wt),
                    residual,
                    y,
                }
            }
            Op::Pool => {
                let y = self.vector(layer);
                Kernel::Pool { n, hw, c, x, y }
            }
        };
        self.push(&layer.path, kernel);
        Ok(())
    }

    fn push(&mut self, path: &str, kernel: Kernel) {
        self.steps.push(Step { path: path.to_owned(), kernel });
    }

    fn too_small(&self) -> GpuError {
        GpuError::TooSmall { height: self.shape.height, width: self.shape.width }
    }

    fn conv(&self, conv: &arch::Conv, [h, w]: [usize; 2]) -> Result<Conv2d, GpuError> {
        let [oh, ow] = [h, w].map(|side| conv.output_size(self.pad_type, side));
        let [top, left] = [h, w].map(|side| conv.pad_before(self.pad_type, side));
        let reaches = [(h, top), (w, left)].iter().all(|&(side, before)| {
            conv.pad_type(self.pad_type) == PadType::Same || side + 2 * before >= conv.kernel_size
        });
        if oh == 0 || ow == 0 || !reaches {
            return Err(self.too_small());
        }
        Ok(Conv2d {
            n: self.shape.images,
            h,
            w,
            cin: padded(conv.in_chs),
            oh,
            ow,
            cout: padded(conv.out_chs),
            kernel: conv.kernel_size,
            stride: conv.stride,
            top,
            left,
        })
    }

    /// The weights of a convolution, mixed for each image if they are to be, and how far one image's are
    /// from the next's.
    fn mixed(
        &mut self,
        layer: &Layer,
        mix: Mix,
        len: usize,
        wt: Buffer,
        floats: bool,
    ) -> (Buffer, usize) {
        let Some((experts, routing)) = mix else { return (wt, 0) };
        let n = self.shape.images;
        let routing = self.read(routing);
        let y = Buffer::Region(self.region(n * len * if floats { 4 } else { self.element }));
        self.push(&layer.path, Kernel::Mix { n, experts, len, floats, routing, wt, y });
        for value in [Some(layer.src[0]), layer.gate, layer.residual].into_iter().flatten() {
            self.read(value);
        }
        self.touch(y);
        (y, len)
    }

    /// The means of a map's channels.
    fn pooled(&mut self, path: &str, x: Buffer, hw: usize, c: usize) -> Buffer {
        let n = self.shape.images;
        let y = Buffer::Region(self.region(n * c * 4));
        self.push(path, Kernel::Pool { n, hw, c, x, y });
        self.touch(y);
        y
    }

    /// Writes a value out, and gives its shape.
    fn export(&mut self, name: &str, value: Value, output: usize) -> Vec<usize> {
        let x = self.read(value);
        let Place { size, chs, .. } = self.places[&value];
        let n = self.shape.images;
        let [h, w] = size.unwrap_or([1, 1]);
        let (hw, c, of_map) = (h * w, padded(chs), size.is_some());
        let y = Buffer::Output(output);
        self.push(name, Kernel::Export { n, hw, c, real: chs, of_map, x, y });
        if of_map { vec![n, chs, h, w] } else { vec![n, chs] }
    }

    /// A region that the next step uses first.
    fn region(&mut self, bytes: usize) -> usize {
        self.regions.push(Region { bytes, life: [self.steps.len(); 2] });
        self.regions.len() - 1
    }

    fn map(&mut self, layer: &Layer, size: [usize; 2]) -> Buffer {
        let positions = self.shape.images * size[0] * size[1];
        let region = self.region(positions * padded(layer.chs) * self.element);
        self.places.insert(layer.dst, Place { region, size: Some(size), chs: layer.chs });
        Buffer::Region(region)
    }

    fn vector(&mut self, layer: &Layer) -> Buffer {
        let region = self.region(self.shape.images * padded(layer.chs) * 4);
        self.places.insert(layer.dst, Place { region, size: None, chs: layer.chs });
        Buffer::Region(region)
    }

    /// Where a value is, for the next step to read.
    fn read(&mut self, value: Value) -> Buffer {
        self.used(self.places[&value].region)
    }

    fn used(&mut self, region: usize) -> Buffer {
        self.regions[region].life[1] = self.steps.len();
        Buffer::Region(region)
    }

    fn touch(&mut self, buffer: Buffer) {
        if let Buffer::Region(region) = buffer {
            self.used(region);
        }
    }
}

/// Into how many parts an image of a depthwise convolution is cut: as many as keep a GPU busy, and not more
/// than there is work for.
fn parts(size: &Conv2d) -> usize {
    let columns = size.cout.div_ceil(64);
    // A block has this many strips at once: a thread has four channels of one.
    let strips_at_once = THREADS / (size.cout / 4).div_ceil(columns);
    let needed = (size.oh * size.ow.div_ceil(STRIP)).div_ceil(strips_at_once);
    BLOCKS.div_ceil(size.n * columns).clamp(1, needed)
}
