//! Writes a layer to its standard output: `write-layer > layer.tar.gz`.

use imglayer::{
    EncodeOptions, Error, LayerPath, MetadataPatch, PlanBuilder, PlanOptions, write_layer,
};

fn main() -> Result<(), Error> {
    let mut builder = PlanBuilder::new(PlanOptions::default());
    let greet = LayerPath::parse("bin/greet")?;
    builder.bytes(greet.clone(), "#!/bin/sh\ncat /etc/motd\n")?;
    builder.metadata(greet, MetadataPatch::with_mode(0o755))?;
    builder.bytes(LayerPath::parse("etc/motd")?, "welcome\n")?;
    builder.symlink(LayerPath::parse("bin/hello")?, "greet")?;
    let plan = builder.finish()?;
    write_layer(&plan, &EncodeOptions::default(), std::io::stdout())?;
    Ok(())
}
