//! The module in examples/terraform reads the data that we write.

use std::path::{Path, PathBuf};
use std::process::Command;

fn module() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/terraform")
}

/// terraform or tofu, or nothing where neither is installed: no Debian package brings them.
fn program() -> Option<&'static str> {
    ["terraform", "tofu"].into_iter().find(|program| Command::new(program).arg("version").output().is_ok())
}

#[test]
fn the_module_is_formatted_and_reads_the_data() {
    let Some(program) = program() else {
        // The module is plain text: what can be seen without the program is seen.
        let text = std::fs::read_to_string(module().join("locals.tf")).expect("the module");
        assert!(text.contains("jsondecode(file(var.data))"));
        eprintln!("neither terraform nor tofu is installed: examples/terraform was not run");
        return;
    };
    let formatted =
        Command::new(program).args(["fmt", "-check", "-diff"]).arg(module()).output().expect("it runs");
    assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stdout));
    // Its provider comes from a registry, so only the part without resources is run here.
    let dir = tempfile::tempdir().expect("a directory");
    for file in ["locals.tf", "variables.tf"] {
        std::fs::copy(module().join(file), dir.path().join(file)).expect("copied");
    }
    let app = dir.path().join("app");
    apps::template("python")
        .and_then(|python| python.write(&app, Some("com.example.hello")))
        .expect("an app");
    let bundle = apps::Bundle::open(&app).expect("a bundle");
    let data = dir.path().join("app.json");
    std::fs::write(&data, apps::terraform_data(&bundle)).expect("written");
    let output = "output \"keys\" {\n  value = [for file in local.app.static_files : file.key]\n}\n\
                  output \"functions\" {\n  value = { for name, function in local.app.lambda_functions : function.name => function.runtime }\n}\n";
    std::fs::write(dir.path().join("outputs.tf"), output).expect("written");
    let run = |args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).current_dir(dir.path()).env("CHECKPOINT_DISABLE", "1");
        let ran = command.output().expect("it runs");
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    run(&["init", "-input=false", "-no-color"]);
    run(&["validate", "-no-color"]);
    let data = format!("-var=data={}", data.display());
    let bundle = format!("-var=bundle_dir={}", app.display());
    run(&["apply", "-auto-approve", "-input=false", "-no-color", &data, &bundle, "-var=bucket=b"]);
    let outputs: serde_json::Value = serde_json::from_str(&run(&["output", "-json"])).expect("JSON");
    assert_eq!(outputs["keys"]["value"][0], "static/com.example.hello_0.1.0_app/icon.png");
    assert_eq!(outputs["functions"]["value"]["com-example-hello_0-1-0_hello"], "python3.14");
}
