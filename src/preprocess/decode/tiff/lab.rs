//! CIELab to sRGB as LittleCMS 2 does it for Pillow's `Image.convert`, with its own profiles of
//! both. It interpolates in whole numbers between the nodes of a table that was computed in
//! floating point.

use std::sync::LazyLock;

/// Nodes of the table on each axis.
const NODES: usize = 33;
/// D50, the white of the profiles.
const WHITE: [f64; 3] = [0.9642, 1.0, 0.8249];
/// The XYZ value that is encoded as 1.0.
const XYZ_ONE: f64 = 1.0 + 32_767.0 / 32_768.0;
/// `x` and `y` of sRGB's red, green, blue and white.
const PRIMARIES: [[f64; 2]; 3] = [[0.64, 0.33], [0.30, 0.60], [0.15, 0.06]];
const WHITE_D65: [f64; 2] = [0.3127, 0.3290];
/// From XYZ to cone responses, for Bradford's adaptation to another white.
const BRADFORD: Matrix =
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]];

type Matrix = [[f64; 3]; 3];

/// The colours at the nodes; lightness changes slowest, then a.
static TABLE: LazyLock<Vec<[u16; 3]>> = LazyLock::new(table);

/// Pixels of L, a and b in 8 bits; for a and b, 128 is zero.
pub(super) fn to_rgb(lab: &mut [u8]) {
    let table = &**TABLE;
    for pixel in lab.as_chunks_mut::<3>().0 {
        *pixel = between(table, *pixel);
    }
}

/// Interpolates in the tetrahedron of nodes around a colour.
fn between(table: &[[u16; 3]], lab: [u8; 3]) -> [u8; 3] {
    const STEPS: [usize; 3] = [NODES * NODES, NODES, 1];
    let mut base = 0;
    // How far the colour is beyond the node on each axis, in 1/65536, and the step to the next
    // node.
    let mut axes = [(0, 0); 3];
    for ((axis, step), value) in axes.iter_mut().zip(STEPS).zip(lab) {
        // 65535 in the input is 65536 here.
        let place = u32::from(value) * 257 * (NODES as u32 - 1);
        let place = place + (place + 0x7fff) / 0xffff;
        base += (place >> 16) as usize * step;
        *axis = ((place & 0xffff) as i32, if value == 255 { 0 } else { step });
    }
    // Along one axis after another, the longest distance first.
    axes.sort_by_key(|(rest, _)| std::cmp::Reverse(*rest));
    let mut nodes = [table[base].map(i32::from); 4];
    let mut at = base;
    for (node, (_, step)) in nodes[1..].iter_mut().zip(axes) {
        at += step;
        *node = table[at].map(i32::from);
    }
    std::array::from_fn(|band| {
        // Wrapping keeps the lowest 16 bits of the level correct.
        let sum = (0..3).fold(0x8001i32, |sum, index| {
            let step = nodes[index + 1][band] - nodes[index][band];
            sum.wrapping_add(step.wrapping_mul(axes[index].0))
        });
        let level = (nodes[0][band] + (sum.wrapping_add(sum >> 16) >> 16)) as u16;
        // 65535 to 255, rounded.
        ((u32::from(level) * 65_281 + 8_388_608) >> 24) as u8
    })
}

fn table() -> Vec<[u16; 3]> {
    let from_xyz = inverse(&rgb_to_xyz()).map(|row| row.map(|value| value * XYZ_ONE));
    let place = |index: usize| {
        // As a 16-bit level.
        let level = (index as f64 * 65_535.0 / (NODES - 1) as f64 + 0.5).floor();
        f64::from((level / 65_535.0) as f32)
    };
    let mut table = Vec::with_capacity(NODES * NODES * NODES);
    for index in 0..NODES * NODES * NODES {
        let [l, a, b] = [index / NODES / NODES, index / NODES % NODES, index % NODES].map(place);
        let [l, a, b] = [l * 100.0, a * 255.0 - 128.0, b * 255.0 - 128.0];
        let y = (l + 16.0) / 116.0;
        let cubes = [y + 0.002 * a, y, y - 0.005 * b].map(cube);
        let xyz = [0, 1, 2].map(|i| f64::from((cubes[i] * WHITE[i] / XYZ_ONE) as f32));
        table.push(from_xyz.map(|row| {
            let linear = row.iter().zip(xyz).map(|(factor, value)| factor * value).sum::<f64>();
            let level = f64::from(gamma(f64::from(linear as f32)) as f32) * 65_535.0;
            (level + 0.5).floor().clamp(0.0, 65_535.0) as u16
        }));
    }
    table
}

/// The inverse of CIE's cube root.
fn cube(value: f64) -> f64 {
    if value <= 24.0 / 116.0 {
        (108.0 / 841.0) * (value - 16.0 / 116.0)
    } else {
        value * value * value
    }
}

/// sRGB's curve, from linear light.
fn gamma(linear: f64) -> f64 {
    let (scale, offset): (f64, f64) = (1.0 / 1.055, 0.055 / 1.055);
    if linear >= (scale * 0.04045 + offset).powf(2.4) {
        (linear.powf(1.0 / 2.4) - offset) / scale
    } else {
        linear / (1.0 / 12.92)
    }
}

/// sRGB's primaries under D50.
fn rgb_to_xyz() -> Matrix {
    let full = |[x, y]: [f64; 2]| [x, y, 1.0 - x - y];
    let [r, g, b] = PRIMARIES.map(full);
    let columns = [[r[0], g[0], b[0]], [r[1], g[1], b[1]], [r[2], g[2], b[2]]];
    let [x, y] = WHITE_D65;
    let white = [x / y, 1.0, (1.0 - x - y) / y];
    let shares = apply(&inverse(&columns), white);
    let under_d65 = columns.map(|row| [row[0] * shares[0], row[1] * shares[1], row[2] * shares[2]]);
    let (from, to) = (apply(&BRADFORD, white), apply(&BRADFORD, WHITE));
    let scaled = [0, 1, 2].map(|i| BRADFORD[i].map(|value| value * (to[i] / from[i])));
    product(&product(&inverse(&BRADFORD), &scaled), &under_d65)
}

fn apply(matrix: &Matrix, vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2])
}

fn product(left: &Matrix, right: &Matrix) -> Matrix {
    left.map(|row| {
        [0, 1, 2].map(|j| row[0] * right[0][j] + row[1] * right[1][j] + row[2] * right[2][j])
    })
}

fn inverse(m: &Matrix) -> Matrix {
    let minor = |i: usize, j: usize| {
        let ([a, b], [c, d]) = ([(i + 1) % 3, (i + 2) % 3], [(j + 1) % 3, (j + 2) % 3]);
        m[a][c] * m[b][d] - m[a][d] * m[b][c]
    };
    let determinant = (0..3).map(|j| m[0][j] * minor(0, j)).sum::<f64>();
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| minor(j, i) / determinant))
}
