//! The table of runtimes is AWS's: cfn-lint, AWS's checker of templates, has a copy of AWS's page.

use std::collections::BTreeMap;

use serde_json::Value;

/// AWS's dates of each runtime, and its newest runtime of the same language.
fn of_aws() -> BTreeMap<String, Value> {
    let program = std::env::current_exe().unwrap();
    let lib = program.ancestors().nth(3).unwrap().join("clients/python/lib");
    let file = "site-packages/cfnlint/data/AdditionalSpecs/LmbdRuntimeLifecycle.json";
    let mut versions = std::fs::read_dir(&lib).into_iter().flatten().flatten();
    let text = versions.find_map(|version| std::fs::read_to_string(version.path().join(file)).ok());
    let text =
        text.unwrap_or_else(|| panic!("{} has no cfn-lint: run `cargo xtask test` once", lib.display()));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_dates_are_those_of_aws() {
    let mut theirs = of_aws();
    // Of images alone: no zip archive runs on it.
    theirs.remove("dotnet9");
    for runtime in apps::runtimes::all() {
        let Some(row) = theirs.remove(runtime.name) else {
            assert!(["dotnet7", "dotnet5.0"].contains(&runtime.name), "AWS has no {}", runtime.name);
            continue;
        };
        assert_eq!(row["deprecated"], runtime.deprecated, "{}", runtime.name);
        assert_eq!(row["create-block"], runtime.no_new, "{}", runtime.name);
        let newest = row["successor"].as_str().unwrap_or(runtime.name);
        assert_eq!(runtime.instead.split(',').next(), Some(newest), "{}", runtime.name);
    }
    assert!(theirs.is_empty(), "AWS has these as well: {:?}", theirs.keys());
}
