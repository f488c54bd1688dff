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

/// A block of HCL as `terraform fmt` writes it: its words, its arguments and its blocks.
#[derive(Debug, Default)]
struct Block {
    words: Vec<String>,
    arguments: Vec<String>,
    blocks: Vec<Block>,
}

impl Block {
    /// Reads the lines up to the end of a block.
    fn read<'a>(words: Vec<String>, lines: &mut impl Iterator<Item = &'a str>) -> Self {
        let mut block = Self { words, ..Self::default() };
        while let Some(line) = lines.next() {
            let line = line.split(" # ").next().unwrap_or_default().trim();
            match line.split_once(" = ") {
                _ if line.is_empty() || line.starts_with('#') => {}
                _ if line == "}" => break,
                Some((name, value)) => {
                    block.arguments.push(name.trim().to_owned());
                    let mut open = depth(value);
                    while open > 0 {
                        open += depth(lines.next().expect("the end of a value"));
                    }
                }
                None if line.ends_with("{}") => {
                    let words = line.trim_end_matches("{}").split_whitespace();
                    let words = words.map(|word| word.trim_matches('"').to_owned()).collect();
                    block.blocks.push(Self { words, ..Self::default() });
                }
                None => {
                    let words = line.strip_suffix('{').unwrap_or_else(|| panic!("what is {line:?}?"));
                    let words = words.split_whitespace().map(|word| word.trim_matches('"').to_owned());
                    block.blocks.push(Self::read(words.collect(), lines));
                }
            }
        }
        block
    }
}

fn depth(text: &str) -> isize {
    let count = |brackets: &[char]| text.matches(brackets).count().cast_signed();
    count(&['{', '[', '(']) - count(&['}', ']', ')'])
}

/// What Terraform itself understands in every resource.
const META: [&str; 6] = ["for_each", "count", "depends_on", "provider", "lifecycle", "provisioner"];

fn compare(at: &str, block: &Block, allowed: &serde_json::Value) {
    let allowed = allowed.as_object().expect("arguments");
    for name in block.arguments.iter().filter(|name| !META.contains(&name.as_str())) {
        let known = allowed.get(name).unwrap_or_else(|| panic!("{at} has no argument {name}"));
        assert!(known.get("type").is_some(), "{at}: {name} is a block");
    }
    for inner in &block.blocks {
        let name = &inner.words[0];
        let known = &allowed.get(name).unwrap_or_else(|| panic!("{at} has no block {name}"))["block"];
        assert!(known.is_object(), "{at}: {name} is no block");
        compare(&format!("{at}.{name}"), inner, known);
    }
    for (name, known) in allowed.iter().filter(|(_, known)| known["required"] == true) {
        let is_there =
            block.arguments.contains(name) || block.blocks.iter().any(|inner| inner.words[0] == *name);
        assert!(is_there, "{at} needs {name}: {known}");
    }
}

/// `terraform validate` needs the provider, which comes from a registry. This proves what it would say of arguments and attributes: each
/// is one of the provider's, and none that it needs is missing. It does not prove that AWS takes their values.
#[test]
fn every_argument_of_the_module_is_one_of_the_providers() {
    let provider = include_str!("../../provider/hashicorp-aws-6.25.0.json");
    let provider: serde_json::Value = serde_json::from_str(provider).expect("JSON");
    let text =
        ["main.tf", "outputs.tf"].map(|file| std::fs::read_to_string(module().join(file)).expect("read"));
    let text = text.join("\n");
    let file = Block::read(Vec::new(), &mut text.lines());
    let mut declared = Vec::new();
    for block in &file.blocks {
        let prefix = match block.words[0].as_str() {
            "resource" => "",
            "data" => "data.",
            _ => continue,
        };
        let of = format!("{prefix}{}", block.words[1]);
        let known = &provider["types"][&of]["arguments"];
        assert!(known.is_object(), "the table has no {of}");
        compare(&of, block, known);
        declared.push((format!("{of}.{}", block.words[2]), of));
    }
    assert_eq!(declared.len(), 6);
    let mut references = 0;
    for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')) {
        if word.starts_with("aws_") && word.contains('.') || word.starts_with("data.aws_") {
            let (_, of) = declared
                .iter()
                .find(|(name, _)| {
                    word == name || word.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
                })
                .unwrap_or_else(|| panic!("{word} is not declared"));
            let rest = word.splitn(if of.starts_with("data.") { 4 } else { 3 }, '.').collect::<Vec<_>>();
            let attributes = provider["types"][of]["attributes"].as_array().expect("a list");
            if let Some(attribute) = rest.get(if of.starts_with("data.") { 3 } else { 2 }) {
                assert!(
                    attributes.iter().any(|known| known == attribute),
                    "{of} has no attribute {attribute}"
                );
            }
            references += 1;
        }
    }
    assert!(references >= 6, "{references}");
}
