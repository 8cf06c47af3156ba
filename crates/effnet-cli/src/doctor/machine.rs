//! The processor, its caches, and the machine's memory.

use std::collections::BTreeSet;

use effnet::engine::Isa;
use effnet::unstable::{bf16_kernels, cpu_threads};
use serde::Serialize;

use super::Problem;
use super::fact::{Fact, read};

const CPUS: &str = "/sys/devices/system/cpu";

/// The processor, as effnet sees it. The names appear in the JSON, and must not change.
#[derive(Debug, Serialize)]
pub(super) struct Cpu {
    pub(super) name: Fact<String>,
    /// The instruction sets that effnet has kernels for and that this machine runs, fastest first.
    pub(super) isas: Vec<&'static str>,
    /// The one that the engine `cpu` takes.
    pub(super) isa: Fact<&'static str>,
    /// Why it takes it; null if it takes none.
    pub(super) isa_because: Option<&'static str>,
    /// The kernels that multiply bfloat16 with the chosen set; null if there are none.
    pub(super) bf16_kernels: Option<&'static str>,
    /// The processor's features that effnet's kernels know.
    pub(super) features: Vec<&'static str>,
    /// Hardware threads that are switched on.
    pub(super) logical_cores: Fact<usize>,
    pub(super) physical_cores: Fact<usize>,
    /// The CPUs that the process may run on, as Linux writes them: `0-3,8`.
    pub(super) affinity: Fact<String>,
    /// Threads that the engine `cpu` asks for.
    pub(super) threads: usize,
    pub(super) caches: Fact<Vec<Cache>>,
}

/// A cache of the first CPU that the process may run on.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Cache {
    pub(super) level: u32,
    /// `data`, `instruction` or `unified`.
    pub(super) kind: String,
    pub(super) bytes: u64,
    /// The CPUs that share it.
    pub(super) cpus: String,
}

/// The machine's memory; a limit of the process may be lower.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    pub(super) total_bytes: Fact<u64>,
    pub(super) available_bytes: Fact<u64>,
}

impl Cpu {
    pub(super) fn examine(problems: &mut Vec<Problem>) -> Self {
        let isas: Vec<_> = Isa::available().map(Isa::name).collect();
        let is_asked = std::env::var_os("EFFNET_ISA").is_some_and(|word| !word.is_empty());
        let chosen = Isa::choose();
        match &chosen {
            Err(error) => problems.push(Problem::new(
                error.to_string(),
                "unset EFFNET_ISA, or set it to an instruction set that the machine runs",
            )),
            Ok(isa) if is_asked && isas.first() != Some(&isa.name()) => {
                problems.push(Problem::new(
                    format!("EFFNET_ISA={} is not the fastest instruction set here", isa.name()),
                    "unset EFFNET_ISA, unless you need it",
                ));
            }
            Ok(Isa::Portable) => problems.push(Problem::new(
                "effnet has no fast kernels for this processor: it runs plain Rust",
                "in a virtual machine, pass the host's processor through (QEMU: -cpu host)",
            )),
            Ok(_) => {}
        }
        let status = read("/proc/self/status");
        let affinity = status.and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
            line.map(|list| list.trim().to_owned()).ok_or_else(|| "not in its status".to_owned())
        });
        let online = read(format!("{CPUS}/online")).and_then(|text| cpus(&text));
        let first = affinity.clone().and_then(|list| cpus(&list)).map(|cpus| cpus[0]);
        Self {
            name: name().into(),
            bf16_kernels: chosen.as_ref().ok().and_then(|isa| bf16_kernels(*isa)),
            isa_because: chosen.is_ok().then_some(match is_asked {
                true => "EFFNET_ISA asks for it",
                false => "the fastest that the machine runs",
            }),
            isa: chosen.map(Isa::name).into(),
            isas,
            features: features(),
            logical_cores: match &online {
                Ok(cpus) => Fact::Known(cpus.len()),
                Err(reason) => Fact::unknown(reason),
            },
            physical_cores: online.and_then(|cpus| cores(&cpus)).into(),
            affinity: affinity.into(),
            threads: cpu_threads(),
            caches: first.and_then(caches).into(),
        }
    }
}

impl Memory {
    pub(super) fn examine() -> Self {
        let text = read("/proc/meminfo");
        let bytes = |key: &str| kibibytes(text.as_deref().map_err(|e| (*e).to_owned())?, key);
        Self {
            total_bytes: bytes("MemTotal:").into(),
            available_bytes: bytes("MemAvailable:").into(),
        }
    }
}

/// The bytes in a line of /proc/meminfo.
fn kibibytes(text: &str, key: &str) -> Result<u64, String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    number.map(|kib| kib * 1024).ok_or_else(|| format!("no {key} in /proc/meminfo"))
}

fn name() -> Result<String, String> {
    let text = read("/proc/cpuinfo")?;
    let value = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    // ARM's processors give numbers in place of a name.
    let numbers =
        || Some(format!("implementer {}, part {}", value("CPU impl")?, value("CPU part")?));
    let found = value("model name").or_else(numbers);
    found.ok_or_else(|| "no name in /proc/cpuinfo".to_owned())
}

/// What the processor has of the features that effnet's kernels know.
fn features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let found = {
        let flags = read("/proc/cpuinfo").unwrap_or_default();
        let flags = flags.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        // The standard library does not tell of AMX.
        let flag = |name| flags.split_whitespace().any(|flag| flag == name);
        vec![
            ("avx2", std::is_x86_feature_detected!("avx2")),
            ("fma", std::is_x86_feature_detected!("fma")),
            ("avx512f", std::is_x86_feature_detected!("avx512f")),
            ("avx512bf16", std::is_x86_feature_detected!("avx512bf16")),
            ("amx_tile", flag("amx_tile")),
            ("amx_bf16", flag("amx_bf16")),
        ]
    };
    #[cfg(target_arch = "aarch64")]
    let found = vec![("neon", std::arch::is_aarch64_feature_detected!("neon"))];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found = Vec::new();
    found.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
}

/// The CPUs of a list such as `0-3,8`; at least one.
fn cpus(list: &str) -> Result<Vec<u32>, String> {
    let mut all = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number =
            |text: &str| text.parse::<u32>().map_err(|_| format!("not a list of CPUs: {list:?}"));
        all.extend(number(first)?..=number(last)?);
    }
    if all.is_empty() { Err(format!("not a list of CPUs: {list:?}")) } else { Ok(all) }
}

/// How many cores these CPUs are.
fn cores(cpus: &[u32]) -> Result<usize, String> {
    let siblings = |cpu: &u32| read(format!("{CPUS}/cpu{cpu}/topology/thread_siblings_list"));
    Ok(cpus.iter().map(siblings).collect::<Result<BTreeSet<_>, _>>()?.len())
}

fn caches(cpu: u32) -> Result<Vec<Cache>, String> {
    let mut caches = Vec::new();
    while let folder = format!("{CPUS}/cpu{cpu}/cache/index{}", caches.len())
        && let Ok(level) = read(format!("{folder}/level"))
    {
        let text = |name: &str| read(format!("{folder}/{name}")).map(|text| text.trim().to_owned());
        caches.push(Cache {
            level: level.trim().parse().map_err(|_| format!("{folder}/level: not a number"))?,
            kind: text("type")?.to_lowercase(),
            bytes: size(&text("size")?)?,
            cpus: text("shared_cpu_list")?,
        });
    }
    if caches.is_empty() {
        read(format!("{CPUS}/cpu{cpu}/cache/index0/level"))?;
    }
    Ok(caches)
}

/// The bytes of a size such as `48K`.
fn size(text: &str) -> Result<u64, String> {
    let (digits, scale) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M') => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| format!("not a size: {text:?}"))?;
    number.checked_mul(scale).ok_or_else(|| format!("not a size: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_sizes_are_read_as_linux_writes_them() {
        assert_eq!(cpus("0-2,8\n"), Ok(vec![0, 1, 2, 8]));
        assert_eq!(cpus("5"), Ok(vec![5]));
        for wrong in ["", "a", "0-", "3-1"] {
            assert!(cpus(wrong).is_err(), "{wrong}");
        }
        assert_eq!([size("48K"), size("2M"), size("7")], [Ok(48 << 10), Ok(2 << 20), Ok(7)]);
        assert!(size("").is_err() && size("K").is_err() && size("18446744073709551615M").is_err());
        assert_eq!(kibibytes("MemTotal:  3 kB\nMemAvailable: 2 kB\n", "MemAvailable:"), Ok(2048));
        assert!(kibibytes("MemTotal: x kB", "MemTotal:").is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_machine_with_linux_has_all_facts() {
        let mut problems = Vec::new();
        let cpu = Cpu::examine(&mut problems);
        assert!(cpu.affinity.known().is_some(), "{cpu:?}");
        let logical = *cpu.logical_cores.known().unwrap();
        assert!(logical >= 1 && cpu.threads <= logical, "{cpu:?}");
        let memory = Memory::examine();
        assert!(memory.available_bytes.known() <= memory.total_bytes.known(), "{memory:?}");
    }
}
