//! The Metal text against what naga makes of the WGSL. Nothing here runs it.

use naga::back::msl;
use naga::valid::{Capabilities, ValidationFlags, Validator};

use crate::engine::Dtype;
use crate::engine::gpu::wgsl;

/// Bindings of `common.wgsl`, and those that kernels write.
const BINDINGS: u32 = 6;
const WRITTEN: [u32; 2] = [1, 5];

fn translated(dtype: Dtype) -> String {
    let text = wgsl::text(dtype);
    let module = naga::front::wgsl::parse_str(&text)
        .unwrap_or_else(|error| panic!("{}", error.emit_to_string(&text)));
    let halves = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    let info = Validator::new(ValidationFlags::all(), halves).validate(&module);
    let info = info.unwrap_or_else(|error| panic!("{}", error.emit_to_string(&text)));
    let binding = |binding: u32| {
        let target = msl::BindTarget {
            buffer: Some(binding as u8),
            mutable: WRITTEN.contains(&binding),
            ..msl::BindTarget::default()
        };
        (naga::ResourceBinding { group: 0, binding }, target)
    };
    let resources = msl::EntryPointResources {
        resources: (0..BINDINGS).map(binding).collect(),
        sizes_buffer: Some(BINDINGS as u8),
        ..msl::EntryPointResources::default()
    };
    let names = module.entry_points.iter().map(|entry| (entry.name.clone(), resources.clone()));
    let options = msl::Options {
        lang_version: (2, 4),
        per_entry_point_map: names.collect(),
        fake_missing_bindings: false,
        // Kernels write what they read of workgroup memory; their loops end, and their divisors are not 0.
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        emit_int_div_checks: false,
        ..msl::Options::default()
    };
    let pipeline = msl::PipelineOptions::default();
    let (text, names) = msl::write_string(&module, &info, &options, &pipeline).unwrap();
    for (entry, name) in module.entry_points.iter().zip(names.entry_point_names) {
        assert_eq!(name.unwrap(), entry.name, "an engine asks for it by the name in the WGSL");
    }
    text
}

#[test]
fn the_metal_text_is_nagas() {
    for dtype in Dtype::ALL {
        let text = translated(dtype);
        let path = format!("src/engine/gpu/metal/kernels/{dtype}.metal");
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("EFFNET_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let is_same = std::fs::read_to_string(&path).is_ok_and(|written| written == text);
        assert!(is_same, "{}: write it anew with EFFNET_BLESS=1", path.display());
    }
}
