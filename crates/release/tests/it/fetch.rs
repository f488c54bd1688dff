//! A release from a site into the cache: from good sites, broken ones and hostile ones.
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use release::{Arch, Cache, Catalogue, FetchError, Fetched, Network, Patience, Sources, Wish};
use testbed::release_site::{Answer, ReleaseSite, Request};
use testbed::signing_key::SigningKey;

const TARBALL: &str = "/11.7.15/mattermost-team-11.7.15-linux-amd64.tar.gz";
const SIG: &str = "/11.7.15/mattermost-team-11.7.15-linux-amd64.tar.gz.sig";
const KEY: &str = "/pubkey.gpg";

/// A site with one release, and somebody who wants it.
struct Published {
    site: ReleaseSite,
    key: SigningKey,
    dir: tempfile::TempDir,
    content: Vec<u8>,
    wish: Wish,
}

impl Published {
    fn new() -> Self {
        let (site, key) = (ReleaseSite::start(), SigningKey::new());
        let content: Vec<u8> =
            (0..300_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        site.put(TARBALL, content.clone());
        site.put(SIG, key.sign(&content));
        site.put(KEY, key.public(0));
        let sources = Sources {
            mirrors: vec![site.url().parse().unwrap()],
            fingerprint: Some(key.fingerprint().parse().unwrap()),
            key_file: None,
        };
        let release = "11.7.15-team".parse().unwrap();
        let mut wish = Wish::of(&release, Arch::Amd64, &Catalogue::built_in(), &sources).unwrap();
        wish.key_url = format!("{}elsewhere.gpg", site.url()).parse().unwrap();
        Self { site, key, dir: tempfile::tempdir().unwrap(), content, wish }
    }

    fn cache(&self) -> Cache {
        Cache::at(self.dir.path().join("cache"))
    }

    fn fetch(&self) -> Result<Fetched, FetchError> {
        self.fetch_with(&self.wish, &BTreeMap::new())
    }

    fn fetch_with(&self, wish: &Wish, environment: &BTreeMap<String, String>) -> Result<Fetched, FetchError> {
        let patience = Patience {
            silence: Duration::from_millis(300),
            pause: Duration::from_millis(1),
            ..Patience::default()
        };
        let network = Network::new(environment, patience).unwrap();
        run(release::fetch(wish, &self.cache(), &network, &|_, _| {}))
    }

    /// It is in the cache, whole, and nothing else is left.
    fn arrived(&self) -> Fetched {
        let fetched = self.fetch().unwrap();
        assert_eq!(fs::read(&fetched.path).unwrap(), self.content);
        assert!(fetched.signature.is_file());
        assert_eq!(self.parts(), [""; 0]);
        fetched
    }

    /// It is refused, and nothing of it has a name that counts. Returns why.
    fn refused(&self) -> String {
        let error = self.fetch().unwrap_err();
        let tarball = self.cache().tarball(&self.wish.file());
        assert!(!tarball.exists(), "{error}");
        error.to_string()
    }

    fn parts(&self) -> Vec<String> {
        let names = crate::names(&self.dir.path().join("cache/partial"));
        names.into_iter().filter(|name| !name.ends_with(".lock")).collect()
    }

    /// How the tarball was asked for.
    fn asked(&self) -> Vec<Request> {
        self.site.requests().into_iter().filter(|request| request.path == TARBALL).collect()
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn a_release_comes_once_and_is_proven_each_time() {
    let published = Published::new();
    let first = published.arrived();
    assert!(first.from.is_some());
    assert_eq!(first.proof.signed_by.to_string(), published.key.fingerprint());
    assert_eq!((first.proof.listed, first.proof.key_expired), (false, None));
    let asked = published.site.requests().len();
    let second = published.arrived();
    assert_eq!((second.from, &second.proof), (None, &first.proof));
    assert_eq!(published.site.requests().len(), asked, "the cache is used");
    // Somebody changed the file in the cache.
    let mut changed = published.content.clone();
    changed[7] ^= 1;
    fs::write(&first.path, changed).unwrap();
    assert!(published.arrived().from.is_some(), "it is fetched again");
}

#[test]
fn a_broken_connection_is_gone_on_with_where_it_broke() {
    let published = Published::new();
    published.site.answer(TARBALL, [Answer::CutOff(100_000), Answer::CutOff(50_000), Answer::Status(503)]);
    published.arrived();
    let asked: Vec<_> =
        published.asked().into_iter().map(|request| (request.range, request.if_range)).collect();
    let validator = Some("\"version-1\"".to_owned());
    let part = |from: u32| (Some(format!("bytes={from}-")), validator.clone());
    assert_eq!(asked, [(None, None), part(100_000), part(150_000), part(150_000)]);
}

#[test]
fn a_silent_server_is_asked_again() {
    let published = Published::new();
    published.site.answer(TARBALL, [Answer::Stall(200_000)]);
    published.arrived();
    assert_eq!(published.asked()[1].range.as_deref(), Some("bytes=200000-"));
    // One that never gets any further is given up, and what came stays.
    let published = Published::new();
    published.site.answer(TARBALL, [Answer::Stall(10_000)].into_iter().chain(vec![Answer::Stall(0); 9]));
    let why = published.refused();
    assert!(why.contains("within 300"), "{why}");
    assert_eq!(published.parts().len(), 2);
    assert!(published.asked().len() <= 6, "{:?}", published.asked());
}

#[test]
fn a_new_process_goes_on_with_what_an_earlier_one_left() {
    let published = Published::new();
    published.site.answer(TARBALL, [Answer::CutOff(120_000)].into_iter().chain(vec![Answer::Status(403); 1]));
    published.refused();
    published.arrived();
    assert_eq!(published.asked()[2].range.as_deref(), Some("bytes=120000-"));
}

#[test]
fn what_came_of_an_older_file_is_thrown_away() {
    for answer in [Answer::Well, Answer::Whole] {
        let mut published = Published::new();
        published.site.answer(TARBALL, [Answer::CutOff(120_000), Answer::Status(403)]);
        published.refused();
        published.content.reverse();
        published.site.put(TARBALL, published.content.clone());
        published.site.put(SIG, published.key.sign(&published.content));
        published.site.answer(TARBALL, [answer]);
        published.arrived();
    }
}

#[test]
fn a_server_that_says_nothing_of_its_files_is_asked_for_the_whole() {
    let published = Published::new();
    published.site.without_validators();
    published.site.answer(TARBALL, [Answer::CutOff(120_000)]);
    published.arrived();
    assert!(published.asked().iter().all(|request| request.range.is_none()));
}

#[test]
fn odd_answers_to_a_part_do_no_harm() {
    for odd in [Answer::OtherPart, Answer::Whole, Answer::Status(416), Answer::Corrupt] {
        let published = Published::new();
        published.site.answer(TARBALL, [Answer::CutOff(120_000), Answer::Status(403)]);
        published.refused();
        published.site.answer(TARBALL, [odd]);
        published.arrived();
    }
}

#[test]
fn a_part_that_is_whole_already_is_asked_for_no_more() {
    let published = Published::new();
    published.site.answer(TARBALL, [Answer::SaysLonger(10), Answer::Status(416)]);
    // 416 says how long the file is: what is there is all of it. The length before was a lie.
    let why = published.fetch();
    assert!(why.is_ok(), "{why:?}");
}

#[test]
fn lies_about_the_length_are_found() {
    let published = Published::new();
    published.site.answer(TARBALL, [Answer::SaysShorter(1000)]);
    let why = published.refused();
    assert!(why.contains("not one of this content"), "{why}");
    let published = Published::new();
    published.site.answer(TARBALL, [Answer::SaysHuge]);
    let why = published.refused();
    assert!(why.contains("is larger than"), "{why}");
    let published = Published::new();
    published.site.answer(SIG, [Answer::Endless]);
    let why = published.refused();
    assert!(why.contains(".sig is larger than 65536 bytes"), "{why}");
}

#[test]
fn a_changed_tarball_is_refused() {
    let published = Published::new();
    published.site.answer(TARBALL, [Answer::Corrupt]);
    let why = published.refused();
    assert!(why.contains("refused") && why.contains("not one of this content"), "{why}");
    assert_eq!(published.parts(), [""; 0], "nothing of it stays");
    published.arrived();
}

#[test]
fn a_wrong_checksum_is_refused_even_if_the_signature_is_right() {
    let published = Published::new();
    let mut wish = published.wish.clone();
    wish.sha256 = Some("0".repeat(64).try_into().unwrap());
    let error = published.fetch_with(&wish, &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("SHA-256 is") && error.contains(&"0".repeat(64)), "{error}");
}

#[test]
fn a_signature_by_somebody_else_is_refused_before_the_tarball_is_fetched() {
    let published = Published::new();
    let other = SigningKey::new();
    published.site.put(SIG, other.sign(&published.content));
    let why = published.refused();
    assert!(why.contains(&format!("it is signed by {}", other.fingerprint())), "{why}");
    assert!(why.contains(&published.key.fingerprint()), "{why}");
    assert_eq!(published.asked(), [], "the tarball was not even asked for");
    for (file, says) in [
        (Vec::new(), "empty"),
        (b"<html>".to_vec(), "neither binary nor armored"),
        (published.key.public(0), "something else than signatures"),
        (published.key.sign(b"")[..100].to_vec(), "cut off"),
    ] {
        published.site.put(SIG, file);
        let why = published.refused();
        assert!(why.contains(says), "{why}");
    }
    published.site.answer(SIG, [Answer::Status(404)]);
    let why = published.refused();
    assert!(why.contains("there is no") && why.contains(".sig"), "{why}");
}

#[test]
fn a_signature_of_other_content_is_refused() {
    let published = Published::new();
    published.site.put(SIG, published.key.sign(b"other"));
    let why = published.refused();
    assert!(why.contains("not one of this content"), "{why}");
}

#[test]
fn an_expired_key_is_a_warning() {
    let published = Published::new();
    published.site.put(KEY, published.key.public(24 * 3600));
    let proof = published.arrived().proof;
    let warnings = proof.warnings();
    assert!(warnings[0].contains("expired on 2024-01-02"), "{warnings:?}");
    // Its owner gives it more time: it is fetched again.
    published.site.put(KEY, published.key.public(0));
    assert_eq!(published.arrived().proof.key_expired, None);
}

#[test]
fn the_pinned_key_counts_and_no_other() {
    let published = Published::new();
    published.site.put(KEY, SigningKey::new().public(0));
    let why = published.refused();
    assert!(why.contains("the key is") && why.contains(&published.key.fingerprint()), "{why}");
    published.site.put(KEY, published.key.revoked());
    let why = published.refused();
    assert!(why.contains("was revoked by its owner"), "{why}");
    // Among others, and from where it is published otherwise.
    published.site.answer(KEY, [Answer::Status(404)]);
    let both = [SigningKey::new().public(0), published.key.public(0)].concat();
    published.site.put("/elsewhere.gpg", both);
    published.arrived();
    let mut wish = published.wish.clone();
    wish.key_file = Some(PathBuf::from("/nowhere/key.asc"));
    let error = published.fetch_with(&wish, &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("/nowhere/key.asc"), "{error}");
    assert!(error.hint().unwrap().contains("signing_key"));
}

#[test]
fn a_redirect_to_another_host_is_followed() {
    let (published, other) = (Published::new(), ReleaseSite::start());
    other.put("/cdn/a.tar.gz", published.content.clone());
    let to = format!("{}cdn/a.tar.gz", other.url().replace("127.0.0.1", "localhost"));
    published.site.answer(TARBALL, [Answer::Redirect(to)]);
    published.arrived();
    assert_eq!(other.requests()[0].path, "/cdn/a.tar.gz");
    let published = Published::new();
    published.site.answer(TARBALL, [Answer::Redirect("file:///etc/passwd".to_owned())]);
    let why = published.refused();
    assert!(why.contains("neither http nor https"), "{why}");
    let published = Published::new();
    published.site.answer(TARBALL, vec![Answer::Redirect(TARBALL.to_owned()); 7]);
    let why = published.refused();
    assert!(why.contains("more than 5 times"), "{why}");
}

#[test]
fn a_page_of_a_portal_is_no_release() {
    let published = Published::new();
    published.site.answer(TARBALL, [Answer::Page]);
    let why = published.refused();
    assert!(why.contains("is a web page"), "{why}");
}

#[test]
fn a_missing_release_is_named_with_what_to_do() {
    let published = Published::new();
    published.site.answer(SIG, [Answer::Status(404)]);
    let error = published.fetch().unwrap_err();
    assert!(error.hint().unwrap().contains("release lines"), "{error}");
    assert!(!error.is_away());
}

#[test]
fn the_next_mirror_is_asked_where_one_fails() {
    let published = Published::new();
    let (empty, hostile) = (ReleaseSite::start(), ReleaseSite::start());
    hostile.put(SIG, SigningKey::new().sign(&published.content));
    let mut wish = published.wish.clone();
    wish.sites.insert(0, "http://127.0.0.1:1/".parse().unwrap());
    wish.sites.insert(1, empty.url().parse().unwrap());
    wish.sites.insert(2, hostile.url().parse().unwrap());
    let fetched = published.fetch_with(&wish, &BTreeMap::new()).unwrap();
    assert_eq!(fetched.from.unwrap().as_str(), published.site.url());
    assert_eq!(fs::read(fetched.path).unwrap(), published.content);
}

#[test]
fn no_site_at_all_is_told_from_a_missing_file() {
    let published = Published::new();
    let mut wish = published.wish.clone();
    wish.sites = vec!["http://127.0.0.1:1/mirror".parse().unwrap()];
    wish.key_url = "http://127.0.0.1:1/key".parse().unwrap();
    let error = published.fetch_with(&wish, &BTreeMap::new()).unwrap_err();
    assert!(error.is_away(), "{error}");
    assert!(error.to_string().contains("nothing listens on 127.0.0.1:1"), "{error}");
}

#[test]
fn a_proxy_is_asked_for_the_whole_address() {
    let published = Published::new();
    let mut wish = published.wish.clone();
    wish.sites = vec!["http://releases.example.invalid/".parse().unwrap()];
    let proxy = published.site.url();
    let environment = |name: &str| [(name.to_owned(), proxy.clone())].into();
    let fetched = published.fetch_with(&wish, &environment("http_proxy")).unwrap();
    assert_eq!(fs::read(fetched.path).unwrap(), published.content);
    let lines: Vec<String> = published.site.requests().into_iter().map(|request| request.line).collect();
    assert!(lines.contains(&format!("GET http://releases.example.invalid{TARBALL} HTTP/1.1")), "{lines:?}");
    let mut without: BTreeMap<_, _> = environment("HTTP_PROXY");
    without.insert("no_proxy".to_owned(), "example.invalid".to_owned());
    published.cache().remove(&published.cache().tarball(&wish.file())).unwrap();
    published.fetch_with(&wish, &without).unwrap_err();
}

#[test]
fn two_at_once_fetch_it_once() {
    let published = Published::new();
    published.site.answer(TARBALL, [Answer::Stall(1000)]);
    std::thread::scope(|scope| {
        let fetchers: Vec<_> = (0..2).map(|_| scope.spawn(|| published.fetch().unwrap())).collect();
        let from: Vec<bool> =
            fetchers.into_iter().map(|fetcher| fetcher.join().unwrap().from.is_some()).collect();
        assert_eq!(from.iter().filter(|fetched| **fetched).count(), 1);
    });
}

#[test]
fn how_far_it_is_is_told() {
    let published = Published::new();
    let told = Mutex::new(Vec::new());
    let network = Network::new(&BTreeMap::new(), Patience::default()).unwrap();
    let watch = |done, total| told.lock().unwrap().push((done, total));
    run(release::fetch(&published.wish, &published.cache(), &network, &watch)).unwrap();
    let told = told.into_inner().unwrap();
    assert_eq!((told.first(), told.last()), (Some(&(0, Some(300_000))), Some(&(300_000, Some(300_000)))));
}

#[test]
fn a_cache_that_others_may_write_in_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let published = Published::new();
    published.arrived();
    fs::set_permissions(published.cache().root(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = published.fetch().unwrap_err().to_string();
    assert!(error.contains("MAINSTAY_CACHE"), "{error}");
}
