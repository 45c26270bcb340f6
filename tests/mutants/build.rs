//! Compiles the protos as the house does, without services.

use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Where run.sh made a tree of its own, the protos lie beside the manifest.
    let is_copied = Path::new("proto").is_dir();
    let root = if is_copied { "proto" } else { "../../proto" };
    println!("cargo:rerun-if-changed={root}");
    println!("cargo:rerun-if-changed=build.rs");

    let mut protos = Vec::new();
    for entry in std::fs::read_dir(format!("{root}/urbanmine/v1"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            protos.push(path);
        }
    }
    protos.sort();

    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_source_info(true).include_imports(true).open_files(&protos)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("urbanmine.v1.bin"), compiler.encode_file_descriptor_set())?;
    let mut descriptors = compiler.file_descriptor_set();
    descriptors.file.retain(|file| !file.package().starts_with("google."));
    tonic_prost_build::configure()
        .build_client(false)
        .build_server(false)
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
