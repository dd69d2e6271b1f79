//! Bills of materials: which artefact needs one, where it is, and whether a text is one.
//!
//! An artefact's bill is a CycloneDX document at the artefact's own name below `sbom/`, with `.cdx.json` behind it. An
//! image layout is one artefact, however many files it has.

use std::collections::BTreeSet;

use serde::Deserialize;

/// What a file of a release is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// An artefact that is one file: an archive, a package or a chart.
    Artefact(&'a str),
    /// A file of the image layout of this name (`images/NAME`), and its name inside.
    Image(&'a str, &'a str),
    /// The bill of the artefact of this name.
    Bill(&'a str),
    /// Nothing that a release holds.
    Unknown,
}

/// What `name`, relative to the release's directory, is part of.
pub fn part(name: &str) -> Part<'_> {
    let Some((folder, rest)) = name.split_once('/') else { return Part::Unknown };
    let ends = |ends: &[&str]| ends.iter().any(|end| rest.len() > end.len() && rest.ends_with(end));
    match folder {
        "archives" if !rest.contains('/') && ends(&[".tar.gz"]) => Part::Artefact(name),
        "packages" if !rest.contains('/') && ends(&[".deb", ".rpm"]) => Part::Artefact(name),
        "charts" if !rest.contains('/') && ends(&[".tgz"]) => Part::Artefact(name),
        "images" => match rest.split_once('/') {
            Some((image, inside)) => Part::Image(&name[..folder.len() + 1 + image.len()], inside),
            None => Part::Unknown,
        },
        "sbom" => rest.strip_suffix(".cdx.json").map_or(Part::Unknown, Part::Bill),
        _ => Part::Unknown,
    }
}

/// Where an artefact's bill is.
pub fn place(artefact: &str) -> String {
    format!("sbom/{artefact}.cdx.json")
}

/// What is wrong with these names: an artefact without a bill, a bill without an artefact, a file that belongs to
/// nothing.
pub fn gaps<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<(String, String)> {
    let (mut artefacts, mut bills, mut wrong) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for name in names {
        match part(name) {
            Part::Artefact(artefact) | Part::Image(artefact, _) => drop(artefacts.insert(artefact)),
            Part::Bill(artefact) => drop(bills.insert(artefact)),
            Part::Unknown => wrong.push((
                name.to_owned(),
                "expected archives/*.tar.gz, packages/*.deb or *.rpm, charts/*.tgz, images/NAME/ or sbom/"
                    .to_owned(),
            )),
        }
    }
    let missing = artefacts.difference(&bills);
    wrong.extend(missing.map(|artefact| {
        ((*artefact).to_owned(), format!("expected a bill of materials at {}, found none", place(artefact)))
    }));
    let alone = bills.difference(&artefacts);
    wrong.extend(alone.map(|artefact| {
        (place(artefact), format!("expected an artefact {artefact} that this is the bill of, found none"))
    }));
    wrong
}

#[derive(Deserialize)]
struct Bill {
    #[serde(rename = "bomFormat")]
    format: String,
    #[serde(rename = "specVersion")]
    version: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    component: Option<Artefact>,
}

/// What a bill is of.
#[derive(Deserialize)]
struct Artefact {
    #[serde(rename = "bom-ref", default)]
    reference: String,
    #[serde(default)]
    hashes: Vec<Hash>,
}

#[derive(Deserialize)]
struct Hash {
    alg: String,
    content: String,
}

#[derive(Deserialize)]
struct Component {
    name: String,
}

/// How many components the bill of `artefact` lists; `sum` is that artefact's SHA-256 in hexadecimal, where it is one file. An error
/// says what is wrong with the bill.
pub fn read(bytes: &[u8], artefact: &str, sum: Option<&str>) -> Result<usize, String> {
    let bill: Bill = serde_json::from_slice(bytes)
        .map_err(|error| format!("expected a CycloneDX document as JSON: {error}"))?;
    if bill.format != "CycloneDX" {
        return Err(format!("expected the format CycloneDX, found {:?}", bill.format));
    }
    if !matches!(bill.version.as_str(), "1.4" | "1.5" | "1.6" | "1.7") {
        return Err(format!("expected CycloneDX 1.4 to 1.7, found {:?}", bill.version));
    }
    let of = bill.metadata.component.as_ref();
    let named = of.map_or("", |of| of.reference.as_str());
    if named != artefact {
        return Err(format!("expected the bill of {artefact}, found that of {named:?}"));
    }
    let hash = of.and_then(|of| of.hashes.iter().find(|hash| hash.alg == "SHA-256"));
    let found = hash.map(|hash| hash.content.as_str());
    if sum.is_some() && found != sum {
        return Err(format!(
            "expected the bill of {artefact} with SHA-256 {}, found {}",
            sum.unwrap_or_default(),
            found.unwrap_or("none")
        ));
    }
    if bill.components.iter().any(|component| component.name.is_empty()) {
        return Err("expected a name for each component, found none for one".to_owned());
    }
    if bill.components.is_empty() {
        return Err("expected what the artefact is made of, found no component".to_owned());
    }
    Ok(bill.components.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_artefact_has_one_bill_and_each_bill_an_artefact() {
        let names = ["archives/a.tar.gz", "images/agent/index.json", "images/agent/blobs/sha256/00"];
        let bills = ["sbom/archives/a.tar.gz.cdx.json", "sbom/images/agent.cdx.json"];
        assert_eq!(gaps(names.into_iter().chain(bills)), []);
        let found: Vec<String> =
            gaps(names.into_iter().chain([bills[0]])).into_iter().map(|(at, _)| at).collect();
        assert_eq!(found, ["images/agent"]);
        let found: Vec<String> = gaps(bills).into_iter().map(|(at, _)| at).collect();
        assert_eq!(found, bills);
    }

    #[test]
    fn a_file_that_belongs_to_nothing_is_named() {
        for name in [
            "README",
            "archives/a.zip",
            "archives/x/a.tar.gz",
            "packages/.deb",
            "images/loose",
            "sbom/a.json",
            "x/a.deb",
        ] {
            assert_eq!(part(name), Part::Unknown, "{name}");
            assert_eq!(gaps([name]).len(), 1, "{name}");
        }
    }

    #[test]
    fn a_bill_that_lists_nothing_is_none() {
        let bill = |format: &str, version: &str, components: &str| {
            let of = r#""metadata":{"component":{"bom-ref":"x"}}"#;
            let head = format!(r#""bomFormat":"{format}","specVersion":"{version}""#);
            read(format!("{{{head},{of}{components}}}").as_bytes(), "x", None)
        };
        let one = r#","components":[{"name":"a"}]"#;
        assert_eq!(bill("CycloneDX", "1.5", one), Ok(1));
        assert!(bill("SPDX", "1.5", one).is_err() && bill("CycloneDX", "9", one).is_err());
        assert!(bill("CycloneDX", "1.5", r#","components":[{"name":""}]"#).is_err());
        assert!(bill("CycloneDX", "1.5", "").is_err());
        assert!(read(b"", "x", None).is_err());
    }

    #[test]
    fn a_bill_is_of_its_own_artefact_and_of_these_bytes() {
        let bill = |of: &str| {
            let head = r#""bomFormat":"CycloneDX","specVersion":"1.5","components":[{"name":"a"}]"#;
            format!("{{{head}{of}}}").into_bytes()
        };
        let of =
            bill(r#","metadata":{"component":{"bom-ref":"x","hashes":[{"alg":"SHA-256","content":"00"}]}}"#);
        assert_eq!(read(&of, "x", Some("00")), Ok(1));
        assert_eq!(read(&of, "x", None), Ok(1), "an image is several files");
        for (bytes, artefact, sum) in [
            (&of, "y", Some("00")),
            (&of, "x", Some("01")),
            (&bill(r#","metadata":{"component":{"bom-ref":"x"}}"#), "x", Some("00")),
            (&bill(""), "x", None),
        ] {
            let said = read(bytes, artefact, sum).unwrap_err();
            assert!(said.contains(&format!("the bill of {artefact}")), "{said}");
        }
    }
}
