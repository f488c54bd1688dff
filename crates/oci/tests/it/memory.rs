//! Large files are not held in memory.
use std::fs;

use oci::{Compression, Entry, ImageSpec, Layer, Meter, Owner, write_layout};

use crate::name;

/// The most memory this process ever had, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_600_mib_file_is_packed_within_200_mib_of_memory() {
    const SIZE: u64 = 600 << 20;
    let scratch = tempfile::tempdir().unwrap();
    let big = scratch.path().join("big");
    fs::File::create(&big).unwrap().set_len(SIZE).unwrap();
    let layer = Layer::new([Entry::file("/big", &big, 0o644, Owner::ROOT)]).unwrap();
    let layer = layer.compression(Compression::Fast);
    assert_eq!(layer.bytes().unwrap(), SIZE);

    let spec = ImageSpec { cmd: vec!["x".to_owned()], ..ImageSpec::default() };
    let meter = Meter::default();
    let layout = write_layout(&spec, &[layer], &name(), &scratch.path().join("image"), &meter).unwrap();
    layout.write_archive(std::io::sink()).unwrap();
    assert_eq!(meter.bytes(), SIZE);
    assert!(peak() < 200 << 20, "{} bytes", peak());
}
