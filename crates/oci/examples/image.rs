//! Makes an image of a directory: `image DIR OUT` writes the layout `OUT` and the archive `OUT.tar`, and prints the
//! digest and the seconds that each took.
#![allow(clippy::print_stdout, reason = "an example prints its results")]

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

use oci::{ImageSpec, Layer, MATTERMOST, Meter, scaffold, tree, write_layout};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [source, out] = words.as_slice() else { return Err("usage: image DIR OUT".into()) };
    let spec = ImageSpec { cmd: vec!["mattermost".to_owned()], user: MATTERMOST, ..ImageSpec::default() };
    let begun = Instant::now();
    let layers =
        [Layer::new(scaffold(None)?)?, Layer::new(tree("/opt/mattermost", Path::new(source), MATTERMOST)?)?];
    let name = "localhost/mattermost:example".parse()?;
    let layout = write_layout(&spec, &layers, &name, Path::new(out), &Meter::default())?;
    println!("{} {:.2} s", layout.digest(), begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    layout.write_archive(File::create_new(format!("{out}.tar"))?)?;
    println!("archive {:.2} s", begun.elapsed().as_secs_f64());
    Ok(())
}
