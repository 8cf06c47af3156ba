//! Tiles of bfloat16 pairs on AMX, the matrix unit of x86-64: `tdpbf16ps` multiplies 16 rows of 16 pairs
//! by 16 rows of 16 columns. Stable Rust has no intrinsics for it, so the instructions are written out
//! (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18).

use super::super::simd::LANES;
use super::tile::Tile;

/// Rows of a tile register, and the 32-bit words of such a row.
const SIDE: usize = 16;

/// What the registers are used for. Sums take the first three.
const A: u8 = 3;
const B: u8 = 4;
/// The end of a segment whose length is not a multiple of 16 pairs.
const A_REST: u8 = 5;
const B_REST: u8 = 6;

/// The operand of `ldtilecfg`: the shape of each register.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    /// Bytes of a row.
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Config {
    /// Registers for `m` rows of the input and for segments that end with `rest` pairs.
    fn new(m: usize, rest: usize) -> Self {
        let mut config =
            Self { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        let mut shape = |register: u8, rows: usize, words: usize| {
            config.rows[usize::from(register)] = rows as u8;
            config.row_bytes[usize::from(register)] = 4 * words as u16;
        };
        (0..3).for_each(|sum| shape(sum, m, SIDE));
        shape(A, m, SIDE);
        shape(B, SIDE, SIDE);
        if rest > 0 {
            shape(A_REST, m, rest);
            shape(B_REST, rest, SIDE);
        }
        config
    }
}

/// The unit's instructions. Registers are numbered; a stride is in floats.
///
/// # Safety
///
/// The machine has the unit and this process may use it; pointers and strides stay within live
/// memory for the rows that the configuration gives the register.
pub(super) trait Unit: Default {
    unsafe fn configure(&mut self, config: &Config);
    unsafe fn zero<const T: u8>(&mut self);
    unsafe fn load<const T: u8>(&mut self, from: *const f32, stride: usize);
    /// `sum += a * b`, over pairs.
    unsafe fn multiply<const SUM: u8, const A: u8, const B: u8>(&mut self);
    unsafe fn store<const T: u8>(&mut self, to: *mut f32, stride: usize);
    /// Forgets the configuration and the registers.
    unsafe fn release(&mut self);
}

/// Computes `MR` rows (at most 16) of `NR` vectors of columns (at most 3). The epilogue remains to
/// be applied.
///
/// # Safety
///
/// [`Unit`]'s and [`super::tile::tile`]'s.
#[inline(always)]
pub(super) unsafe fn tile<U: Unit, const MR: usize, const NR: usize>(t: &Tile<'_>) {
    let mut unit = U::default();
    let rest = t.run % SIDE;
    let width = NR * LANES;
    let mut sums = [[0f32; 3 * SIDE]; SIDE];
    // SAFETY: the caller's contract; the registers' shapes are those of the rows and weights read.
    unsafe {
        unit.configure(&Config::new(MR, rest));
        unit.zero::<0>();
        unit.zero::<1>();
        unit.zero::<2>();
        let mut b = t.b;
        for &segment in t.segments {
            let a = t.a.add(segment);
            for k in (0..t.run - rest).step_by(SIDE) {
                unit.load::<A>(a.add(k), t.a_row);
                product::<U, NR, A, B>(&mut unit, b, width);
                b = b.add(SIDE * width);
            }
            if rest > 0 {
                unit.load::<A_REST>(a.add(t.run - rest), t.a_row);
                product::<U, NR, A_REST, B_REST>(&mut unit, b, width);
                b = b.add(rest * width);
            }
        }
        let to = sums.as_mut_ptr().cast::<f32>();
        unit.store::<0>(to, 3 * SIDE);
        if NR > 1 {
            unit.store::<1>(to.add(SIDE), 3 * SIDE);
        }
        if NR > 2 {
            unit.store::<2>(to.add(2 * SIDE), 3 * SIDE);
        }
        unit.release();
        for (m, sums) in sums.iter().enumerate().take(MR) {
            for (n, sums) in sums.chunks_exact(LANES).enumerate().take(NR) {
                let c = t.out.c.add(m * t.out.row + n * t.out.vec);
                for (lane, sum) in sums.iter().enumerate() {
                    c.add(lane).write(sum + *t.bias.add(n * LANES + lane));
                }
            }
        }
    }
}

/// Adds the products of register `A` and `NR` vectors of the weights, from `b` on.
#[inline(always)]
unsafe fn product<U: Unit, const NR: usize, const A: u8, const B: u8>(
    unit: &mut U,
    b: *const f32,
    width: usize,
) {
    // SAFETY: the caller's contract.
    unsafe {
        unit.load::<B>(b, width);
        unit.multiply::<0, A, B>();
        if NR > 1 {
            unit.load::<B>(b.add(SIDE), width);
            unit.multiply::<1, A, B>();
        }
        if NR > 2 {
            unit.load::<B>(b.add(2 * SIDE), width);
            unit.multiply::<2, A, B>();
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) use hardware::{Amx, available};

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod hardware {
    use std::arch::asm;
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
    use std::sync::OnceLock;

    use super::{Config, Unit};

    /// The unit of this machine.
    #[derive(Debug, Default)]
    pub(in super::super) struct Amx;

    // SAFETY of every block: the trait's caller guarantees the unit and the memory.
    impl Unit for Amx {
        #[inline(always)]
        unsafe fn configure(&mut self, config: &Config) {
            // SAFETY: see the impl.
            unsafe { asm!("ldtilecfg [{}]", in(reg) config, options(nostack, readonly)) };
        }
        #[inline(always)]
        unsafe fn zero<const T: u8>(&mut self) {
            // SAFETY: see the impl.
            unsafe { asm!("tilezero tmm{}", const T, options(nostack, nomem)) };
        }
        #[inline(always)]
        unsafe fn load<const T: u8>(&mut self, from: *const f32, stride: usize) {
            // SAFETY: see the impl.
            unsafe {
                asm!("tileloadd tmm{}, [{} + {} * 4]", const T, in(reg) from, in(reg) stride,
                    options(nostack, readonly));
            }
        }
        #[inline(always)]
        unsafe fn multiply<const SUM: u8, const A: u8, const B: u8>(&mut self) {
            // SAFETY: see the impl.
            unsafe {
                asm!("tdpbf16ps tmm{}, tmm{}, tmm{}", const SUM, const A, const B,
                    options(nostack, nomem));
            }
        }
        #[inline(always)]
        unsafe fn store<const T: u8>(&mut self, to: *mut f32, stride: usize) {
            // SAFETY: see the impl.
            unsafe {
                asm!("tilestored [{} + {} * 4], tmm{}", in(reg) to, in(reg) stride, const T,
                    options(nostack));
            }
        }
        #[inline(always)]
        unsafe fn release(&mut self) {
            // SAFETY: see the impl.
            unsafe { asm!("tilerelease", options(nostack, nomem)) };
        }
    }

    /// Whether the machine has the unit with bfloat16, its operating system saves the registers, and
    /// the kernel lets this process use them. Asks the kernel once.
    pub(in super::super) fn available() -> bool {
        static GRANTED: OnceLock<bool> = OnceLock::new();
        *GRANTED.get_or_init(|| {
            // CPUID leaf 7: AMX-BF16 and AMX-TILE; XCR0: tile configuration and data.
            const UNIT: u32 = 1 << 22 | 1 << 24;
            const STATE: u64 = 1 << 17 | 1 << 18;
            let leaf = |number| (__cpuid(0).eax >= number).then(|| __cpuid_count(number, 0));
            let has = |bits: Option<u32>, wanted: u32| bits.is_some_and(|b| b & wanted == wanted);
            has(leaf(1).map(|l| l.ecx), 1 << 27)
                && has(leaf(7).map(|l| l.edx), UNIT)
                // SAFETY: the operating system has enabled `xgetbv` (OSXSAVE, above).
                && unsafe { xcr0() } & STATE == STATE
                && permitted()
        })
    }

    #[target_feature(enable = "xsave")]
    unsafe fn xcr0() -> u64 {
        // SAFETY: the caller has checked that the instruction is enabled.
        unsafe { _xgetbv(0) }
    }

    /// Asks for permission to use the tile registers: their state is large, so not every process
    /// has it.
    fn permitted() -> bool {
        const ARCH_PRCTL: i64 = 158;
        const REQUEST_PERMISSION: i64 = 0x1023;
        const TILE_DATA: i64 = 18;
        let mut answer = ARCH_PRCTL;
        // SAFETY: the call reads and writes no memory of this process; it clobbers rcx and r11.
        unsafe {
            asm!("syscall", inlateout("rax") answer, in("rdi") REQUEST_PERMISSION,
                in("rsi") TILE_DATA, lateout("rcx") _, lateout("r11") _,
                options(nostack));
        }
        answer == 0
    }
}

/// The unit in plain Rust: machines that have it are rare.
#[cfg(test)]
pub(super) mod emulated {
    use super::super::super::simd::portable::Portable;
    use super::super::super::simd::{LANES, Pairs, Simd};
    use super::{Config, SIDE, Unit};

    #[derive(Debug, Default)]
    pub(in super::super) struct Emulated {
        registers: [[[f32; SIDE]; SIDE]; 8],
        /// Rows and words of each register.
        shapes: [(usize, usize); 8],
    }

    impl Unit for Emulated {
        unsafe fn configure(&mut self, config: &Config) {
            assert_eq!((config.palette, config.start_row, config.reserved), (1, 0, [0; 14]));
            for (t, shape) in self.shapes.iter_mut().enumerate() {
                let bytes = usize::from(config.row_bytes[t]);
                *shape = (usize::from(config.rows[t]), bytes / 4);
                assert!(shape.0 <= SIDE && shape.1 <= SIDE && bytes.is_multiple_of(4));
            }
            self.registers = [[[f32::NAN; SIDE]; SIDE]; 8];
        }
        unsafe fn zero<const T: u8>(&mut self) {
            self.registers[usize::from(T)] = [[0.0; SIDE]; SIDE];
        }
        unsafe fn load<const T: u8>(&mut self, from: *const f32, stride: usize) {
            let (rows, words) = self.shapes[usize::from(T)];
            assert!(rows > 0 && words > 0, "register {T} has no shape");
            for row in 0..rows {
                for word in 0..words {
                    // SAFETY: the trait's caller guarantees the memory.
                    let value = unsafe { *from.add(row * stride + word) };
                    self.registers[usize::from(T)][row][word] = value;
                }
            }
        }
        unsafe fn multiply<const SUM: u8, const A: u8, const B: u8>(&mut self) {
            let [sum, a, b] = [SUM, A, B].map(usize::from);
            let ((m, n), (rows, k)) = (self.shapes[sum], self.shapes[a]);
            assert_eq!((rows, self.shapes[b]), (m, (k, n)), "shapes that do not multiply");
            assert_eq!(n, LANES);
            for row in 0..m {
                for word in 0..k {
                    let x = [self.registers[a][row][word]; LANES];
                    let sums = self.registers[sum][row];
                    // SAFETY: plain Rust.
                    let sums = unsafe { Portable::dot(x, self.registers[b][word], sums) };
                    self.registers[sum][row] = sums;
                }
            }
        }
        unsafe fn store<const T: u8>(&mut self, to: *mut f32, stride: usize) {
            for row in 0..self.shapes[usize::from(T)].0 {
                // SAFETY: the trait's caller guarantees the memory.
                unsafe {
                    Portable::store(to.add(row * stride), self.registers[usize::from(T)][row]);
                };
            }
        }
        unsafe fn release(&mut self) {
            self.shapes = [(0, 0); 8];
        }
    }
}
