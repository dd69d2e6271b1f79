//! A release's images and charts in a real registry: pushed with skopeo and helm as docs/install.md says, fetched again byte for
//! byte, and named by digest in what the charts render.
//!
//! `NIMBUS_RELEASE` names the directory of a release; without it the images hold this build's programs for this processor and
//! stand-ins for the other one (`nimbus_tests::registry::release`).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use nimbus_tests::helm::{documents, helm};
use nimbus_tests::registry::Registry;
use nimbus_tests::registry::layout::Layout;
use nimbus_tests::registry::release::{Chart, PROGRAMS, Release};
use serde_json::Value;

/// Where in the registry everything is.
const FOLDER: &str = "nimbus";
/// What helm calls the configuration of a chart in a registry.
const CHART_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";

#[test]
fn a_release_is_pushed_to_a_registry_and_fetched_again_byte_for_byte() -> anyhow::Result<()> {
    let registry = Registry::start()?;
    let release = Release::find()?;
    let mut digests = BTreeMap::new();
    for program in PROGRAMS {
        let digest = image_is_kept(&registry, program, &release.image(program));
        digests.insert(program, digest.with_context(|| format!("the image of {program}"))?);
    }
    what_is_not_there_is_not_found(&registry)?;
    let charts = release.charts()?;
    let names: Vec<&str> = charts.iter().map(|chart| chart.name.as_str()).collect();
    assert_eq!(names, ["nimbus-agent", "nimbus-control-plane"]);
    for chart in &charts {
        let of = || format!("the chart {}", chart.name);
        chart_is_kept(&registry, chart).with_context(of)?;
        its_pods_are_named_by_digest(&registry, chart, &digests).with_context(of)?;
    }
    Ok(())
}

/// Pushes an image and compares everything that the registry says of it with the layout; returns the digest of its index.
fn image_is_kept(registry: &Registry, program: &str, layout: &Layout) -> anyhow::Result<String> {
    let name = layout.name()?;
    let (repository, digest) = (format!("{FOLDER}/{program}"), name.digest);
    let tagged = format!("{repository}:{}", name.tag);
    // As the documentation has it: the layout has one image, which needs no tag there.
    registry.push(&format!("oci:{}", layout.path().display()), &tagged)?;

    let index = layout.blob(&digest)?;
    assert!(registry.raw(&tagged)? == index, "the index of {tagged} is another one");
    assert_eq!(registry.digest(&tagged)?, digest, "the digest that a person is told of {tagged}");
    let by_digest = format!("{repository}@{digest}");
    assert!(registry.raw(&by_digest)? == index, "the index of {by_digest} is another one");
    let index: Value = serde_json::from_slice(&index)?;
    let manifests = index["manifests"].as_array().context("an index names manifests")?;
    let architectures: Vec<&Value> = manifests.iter().map(|it| &it["platform"]["architecture"]).collect();
    assert_eq!(architectures, ["amd64", "arm64"]);
    for manifest in manifests {
        let digest = manifest["digest"].as_str().context("a manifest has a digest")?;
        let found = registry.raw(&format!("{repository}@{digest}"))?;
        assert!(found == layout.blob(digest)?, "the manifest {digest} is another one");
    }

    // Configurations and layers, too, are asked for by their digests.
    let scratch = tempfile::tempdir()?;
    let pulled = Layout::at(scratch.path().join("pulled"));
    registry.pull(&by_digest, &format!("oci:{}:{}", pulled.path().display(), name.tag))?;
    let (pushed, pulled) = (layout.blobs()?, pulled.blobs()?);
    assert!(pushed.keys().eq(pulled.keys()), "{:?}\n{:?}", pushed.keys(), pulled.keys());
    for (digest, bytes) in &pushed {
        // Not with assert_eq, which would print them.
        assert!(*bytes == pulled[digest], "{digest} came back as another one");
    }
    // An index, and a manifest, a configuration and a layer for each platform.
    assert_eq!(pushed.len(), 1 + 3 * manifests.len());
    Ok(digest)
}

/// A digest that nobody pushed is answered with nothing else.
fn what_is_not_there_is_not_found(registry: &Registry) -> anyhow::Result<()> {
    let nobody = format!("{FOLDER}/nimbus-agent@sha256:{}", "0".repeat(64));
    let said = registry.raw(&nobody).err().context("a manifest that nobody pushed was found")?;
    assert!(format!("{said:#}").contains("manifest unknown"), "{said:#}");
    Ok(())
}

/// What helm prints, which must succeed.
fn printed(arguments: &[&str]) -> anyhow::Result<String> {
    let output = helm(arguments)?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "helm {}: {said}", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

/// Where charts are in the registry.
fn charts(registry: &Registry) -> String {
    format!("oci://{}/{FOLDER}/charts", registry.address())
}

/// Pushes a chart, fetches it again, and asks the registry which one it is.
fn chart_is_kept(registry: &Registry, chart: &Chart) -> anyhow::Result<()> {
    let Chart { name, version, path } = chart;
    let package = path.to_str().context("a path in UTF-8")?;
    printed(&["push", package, &charts(registry), "--plain-http"])?;
    let tag = version.replace('+', "_");
    let manifest: Value = serde_json::from_slice(&registry.raw(&format!("{FOLDER}/charts/{name}:{tag}"))?)?;
    assert_eq!(manifest["config"]["mediaType"], CHART_CONFIG, "{manifest}");

    let reference = format!("{}/{name}", charts(registry));
    let words = [reference.as_str(), "--version", version, "--plain-http"];
    let scratch = tempfile::tempdir()?;
    let into = ["--destination", scratch.path().to_str().context("a path in UTF-8")?];
    printed(&[&["pull"][..], &words, &into].concat())?;
    let pulled = scratch.path().join(path.file_name().context("a package has a name")?);
    assert!(std::fs::read(&pulled)? == std::fs::read(path)?, "{package} came back as another one");

    let head = documents(&printed(&[&["show", "chart"][..], &words].concat())?)?;
    let head = head.first().context("the head of a chart")?;
    assert_eq!([&head["name"], &head["version"]], [name, version]);
    assert_eq!(head["appVersion"], version.as_str(), "charts and programs have one version");
    Ok(())
}

/// Renders the chart from the registry with the digests of the images, and requires that its pods name exactly the images that
/// were pushed. The tag is one that nobody has: a digest wins over it.
fn its_pods_are_named_by_digest(
    registry: &Registry,
    chart: &Chart,
    digests: &BTreeMap<&str, String>,
) -> anyhow::Result<()> {
    let Chart { name, version, .. } = chart;
    let from = format!("{}/{name}", charts(registry));
    let (variant, images) = match name.as_str() {
        "nimbus-agent" => ("tests/charts/nimbus-agent/base.yaml", &[("image", "nimbus-agent")][..]),
        // With backups, whose pods have the image of the command.
        "nimbus-control-plane" => (
            "tests/charts/nimbus-control-plane/backup.yaml",
            &[("image", "nimbus-control-plane"), ("backup.image", "nimbus")][..],
        ),
        other => anyhow::bail!("expected to know the images of each chart, found {other}; add them here"),
    };
    let mut values = vec![format!("image.registry={}/{FOLDER}", registry.address())];
    for (value, program) in images {
        values.push(format!("{value}.repository={program}"));
        values.push(format!("{value}.digest={}", digests[program]));
        values.push(format!("{value}.tag=nobody-has-it"));
    }
    let values = values.join(",");
    let words = ["template", "it", &from, "--version", version, "--plain-http"];
    let text = printed(&[&words[..], &["--values", variant, "--set", &values]].concat())?;
    let mut named = BTreeSet::new();
    for object in documents(&text)? {
        images_of(&object, &mut named);
    }
    let image = |program: &str| format!("{}/{FOLDER}/{program}@{}", registry.address(), digests[program]);
    let expected: BTreeSet<String> = images.iter().map(|(_, program)| image(program)).collect();
    assert_eq!(named, expected);
    for reference in named {
        let name = reference.strip_prefix(registry.address()).context("an image of the registry")?;
        registry.raw(name.trim_start_matches('/')).with_context(|| reference.clone())?;
    }
    Ok(())
}

/// The images of every container below a value.
fn images_of(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let ("containers" | "initContainers", Value::Array(containers)) = (name.as_str(), value) {
                    into.extend(containers.iter().filter_map(|it| Some(it["image"].as_str()?.to_owned())));
                }
                images_of(value, into);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| images_of(value, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
