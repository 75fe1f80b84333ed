//! The page's markup and the code that binds it agree.

use std::collections::BTreeMap;
use std::path::Path;

use web::ids::Id;

fn markup() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../www/index.html");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn ids_in(markup: &str) -> BTreeMap<&str, usize> {
    let mut ids = BTreeMap::new();
    for part in markup.split(" id=\"").skip(1) {
        let id = part.split('"').next().unwrap_or_default();
        *ids.entry(id).or_insert(0) += 1;
    }
    ids
}

#[test]
fn every_id_that_the_code_binds_stands_in_the_markup_once() {
    let markup = markup();
    let ids = ids_in(&markup);
    let wrong: Vec<_> = Id::ALL
        .iter()
        .map(|id| (id.as_str(), ids.get(id.as_str()).copied().unwrap_or(0)))
        .filter(|(_, times)| *times != 1)
        .collect();
    assert!(wrong.is_empty(), "ids that do not stand in www/index.html exactly once: {wrong:?}");
}

#[test]
fn no_id_of_the_markup_stands_twice() {
    let markup = markup();
    let twice: Vec<_> = ids_in(&markup).into_iter().filter(|(_, times)| *times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn the_ids_of_the_code_are_all_different() {
    let mut ids: Vec<_> = Id::ALL.iter().map(|id| id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), Id::ALL.len());
}
