//! Compiles the protos with protox, so that no protoc is needed on the machine.

use std::path::PathBuf;

const PROTO_ROOT: &str = "proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // protox does not tell cargo what it read.
    println!("cargo:rerun-if-changed={PROTO_ROOT}");
    println!("cargo:rerun-if-changed=build.rs");

    let mut protos = Vec::new();
    for entry in std::fs::read_dir(format!("{PROTO_ROOT}/urbanmine/v1"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            protos.push(path);
        }
    }
    protos.sort();

    let mut compiler = protox::Compiler::new([PROTO_ROOT])?;
    compiler.include_source_info(true).include_imports(true).open_files(&protos)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // With comments, for the OpenAPI page; and with the paths of the calls over HTTP, which are
    // options that the types below do not know and would drop.
    std::fs::write(out.join("urbanmine.v1.bin"), compiler.encode_file_descriptor_set())?;
    let mut descriptors = compiler.file_descriptor_set();
    descriptors.file.retain(|file| !file.package().starts_with("google."));
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
