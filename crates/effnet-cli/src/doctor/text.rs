//! The report for people.

use std::io::{Result, Write};

use super::devices::{Cuda, Devices, Metal};
use super::limits::Limits;
use super::machine::{Cache, Cpu, Memory};
use super::self_test::{Outcome, SelfTest};
use super::{Found, Problem, Program};
use crate::output::Stdout;
use crate::table::printable;

/// What is found without running a network.
pub(super) fn found(found: &Found, out: &mut Stdout) -> Result<()> {
    section(out, "program", &program(&found.program))?;
    section(out, "processor", &cpu(&found.cpu))?;
    section(out, "memory and limits", &limits(&found.memory, &found.limits))?;
    section(out, "GPUs", &devices(&found.devices))?;
    #[cfg(feature = "hub")]
    if let Some(facts) = &found.hub {
        section(out, "hub", &hub(facts))?;
    }
    Ok(())
}

/// The test, then the problems.
pub(super) fn tested(test: &SelfTest, problems: &[Problem], out: &mut Stdout) -> Result<()> {
    let [images, chans, height, width] = test.input;
    writeln!(
        out,
        "self-test: {} with {} on {images}x{chans}x{height}x{width}, compared with timm",
        test.model, test.weights
    )?;
    let header = ["  DEVICE", "ENGINE", "DTYPE", "ISA", "DIFFERENCE", "ALLOWED", "MS", "RESULT"];
    let mut rows = vec![header.map(str::to_owned)];
    for row in &test.rows {
        let unknown = || "-".to_owned();
        let result = match row.result {
            Outcome::Ok => "ok",
            Outcome::Failed => "FAILED: ",
            Outcome::Unsupported => "not supported: ",
        };
        rows.push([
            format!("  {}", row.device),
            row.engine.to_string(),
            row.dtype.to_string(),
            row.isa.map_or_else(unknown, str::to_owned),
            row.difference.map_or_else(unknown, |difference| format!("{difference:.1e}")),
            format!("{:.0e}", row.tolerance),
            row.ms.map_or_else(unknown, |ms| format!("{ms:.2}")),
            printable(&format!("{result}{}", row.reason.as_deref().unwrap_or_default())),
        ]);
    }
    out.write_table(&rows, &[4, 5, 6])?;
    if problems.is_empty() {
        return writeln!(out, "\nproblems: none");
    }
    writeln!(out, "\nproblems")?;
    for problem in problems {
        writeln!(out, "  - {}", printable(&problem.problem))?;
        writeln!(out, "    what to do: {}", printable(&problem.remedy))?;
    }
    Ok(())
}

type Lines = Vec<(&'static str, String)>;

fn section(out: &mut Stdout, title: &str, lines: &Lines) -> Result<()> {
    writeln!(out, "{title}")?;
    // Cells of one width in all sections.
    let row = |(name, value): &(&str, String)| [format!("  {name:<16}"), printable(value)];
    let rows: Vec<_> = lines.iter().map(row).collect();
    out.write_table(&rows, &[])?;
    writeln!(out)
}

fn program(program: &Program) -> Lines {
    vec![
        ("version", format!("effnet {} ({} build)", program.version, program.profile)),
        ("features", or_none(&program.features)),
        ("system", format!("{} {}", program.os, program.arch)),
    ]
}

fn cpu(cpu: &Cpu) -> Lines {
    let because = cpu.isa_because.unwrap_or_default();
    let isa = cpu.isa.text(|isa| format!("{isa}: {because}"));
    let count = usize::to_string;
    vec![
        ("name", cpu.name.text(String::clone)),
        ("features", or_none(&cpu.features)),
        ("kernels", isa),
        ("choices", cpu.isas.join(", ")),
        ("bf16 kernels", cpu.bf16_kernels.unwrap_or("none").to_owned()),
        ("physical cores", cpu.physical_cores.text(count)),
        ("logical cores", cpu.logical_cores.text(count)),
        ("may run on", cpu.affinity.text(|cpus| format!("CPUs {cpus}"))),
        ("threads", format!("{} (for --engine cpu without --threads)", cpu.threads)),
        (
            "caches",
            cpu.caches.text(|caches| caches.iter().map(cache).collect::<Vec<_>>().join(", ")),
        ),
    ]
}

fn cache(cache: &Cache) -> String {
    let kind = match cache.kind.as_str() {
        "data" => "d",
        "instruction" => "i",
        _ => "",
    };
    format!("L{}{kind} {}", cache.level, bytes(cache.bytes))
}

fn limits(memory: &Memory, limits: &Limits) -> Lines {
    let size = |size: &u64| bytes(*size);
    let or_no = |limit: Option<String>| limit.unwrap_or_else(|| "no limit".to_owned());
    let number = |limit: &Option<u64>| or_no(limit.map(|n| n.to_string()));
    vec![
        ("memory", memory.total_bytes.text(size)),
        ("available", memory.available_bytes.text(size)),
        ("control groups", limits.cgroup.text(|versions| (*versions).to_owned())),
        ("  CPUs", limits.cgroup_cpus.text(|cpus| or_no(cpus.map(|cpus| cpus.to_string())))),
        ("  memory", limits.cgroup_memory_bytes.text(|limit| or_no(limit.map(bytes)))),
        ("  processes", limits.cgroup_processes.text(number)),
        ("ulimit -u", limits.user_processes.text(number)),
    ]
}

fn devices(devices: &Devices) -> Lines {
    let mut lines = cuda(&devices.cuda);
    let Metal { compiled, usable, reason } = &devices.metal;
    let metal = match (compiled, usable) {
        (false, _) => "not in this program".to_owned(),
        (true, true) => "usable".to_owned(),
        (true, false) => format!("not usable: {}", reason.as_deref().unwrap_or_default()),
    };
    lines.push(("Metal", metal));
    lines
}

fn cuda(cuda: &Cuda) -> Lines {
    let driver = cuda.system_driver.text(|version| match version {
        Some(version) => version.clone(),
        None => "none".to_owned(),
    });
    let mut lines = vec![("NVIDIA driver", driver)];
    let Some(runtime) = &cuda.runtime else {
        lines.push(("CUDA", "not in this program".to_owned()));
        return lines;
    };
    lines.push(("CUDA", format!("the program was built for {}", runtime.built_for)));
    lines.push(("  the driver's", runtime.driver.text(String::clone)));
    lines.push(("  NVRTC", runtime.nvrtc.text(String::clone)));
    let kernels = runtime.kernels.as_ref().map_or_else(|| "nowhere".to_owned(), |f| f.text());
    let size = runtime.kernels_bytes.text(|size| bytes(*size));
    lines.push(("  kept kernels", format!("{kernels}: {size}")));
    match runtime.gpus.known() {
        None => lines.push(("  GPUs", runtime.gpus.text(|_| String::new()))),
        Some(gpus) => lines.extend(gpus.iter().map(|gpu| {
            let reason = gpu.reason.as_ref().map(|reason| format!("; not usable: {reason}"));
            let text = format!(
                "{}: {}, compute capability {}, memory {}, free {}{}",
                gpu.device,
                gpu.name.text(String::clone),
                gpu.compute_capability.text(String::clone),
                gpu.memory_total_bytes.text(|size| bytes(*size)),
                gpu.memory_free_bytes.text(|size| bytes(*size)),
                reason.unwrap_or_default(),
            );
            ("  GPU", text)
        })),
    }
    lines
}

#[cfg(feature = "hub")]
fn hub(facts: &super::fact::Fact<super::hub::HubFacts>) -> Lines {
    let Some(hub) = facts.known() else {
        return vec![("state", facts.text(|_| String::new()))];
    };
    let yes = |is_so: bool| if is_so { "yes" } else { "no" }.to_owned();
    let contents = hub.contents.text(|contents| {
        let mut text = format!("{} in {}", bytes(contents.bytes), plural(contents.models, "model"));
        if contents.unfinished_downloads > 0 {
            let unfinished = plural(contents.unfinished_downloads, "unfinished download");
            text.push_str(&format!(", {unfinished}"));
        }
        text
    });
    vec![
        ("endpoint", hub.endpoint.clone()),
        ("offline", yes(hub.offline)),
        ("token is set", yes(hub.token_is_set)),
        ("cache", hub.cache.text()),
        ("contents", contents),
    ]
}

#[cfg(feature = "hub")]
fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn or_none(words: &[&str]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// A number of bytes, in the largest unit that leaves at least one.
fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let (mut number, mut unit) = (bytes as f64, "B");
    for larger in units {
        if number < 1024.0 {
            break;
        }
        (number, unit) = (number / 1024.0, larger);
    }
    let decimals = usize::from(number.fract() > 0.05 && number < 100.0 && unit != "B");
    format!("{number:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_have_the_largest_unit_that_leaves_one() {
        let sizes = [0, 1023, 48 << 10, 1536, 2 << 30, (5 << 40) + (1 << 39), 200 << 40];
        let texts = ["0 B", "1023 B", "48 KiB", "1.5 KiB", "2 GiB", "5.5 TiB", "200 TiB"]
            .map(str::to_owned);
        assert_eq!(sizes.map(bytes), texts);
    }
}
