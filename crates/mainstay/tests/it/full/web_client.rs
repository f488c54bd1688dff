//! The built-in server's web client in Chromium, as a person uses it: what it does, and what axe finds in each view.

use std::path::Path;
use std::time::{Duration, Instant};

use chromiumoxide::browser::{Browser, BrowserConfig};
use chromiumoxide::page::Page;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::place::{Place, is_root};

/// Reached only if something hangs.
const PATIENCE: Duration = Duration::from_secs(30);
const PASSWORD: &str = "correct horse 8 battery";

/// The API, as one user.
struct Api {
    base: String,
    http: reqwest::Client,
    token: String,
}

impl Api {
    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let request =
            self.http.request(method, format!("{}/api/v4{path}", self.base)).bearer_auth(&self.token);
        let answer = request.json(body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask("POST", path, &body).await;
        assert!(status < 300, "POST {path}: {status} {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask("GET", path, &json!({})).await;
        assert!(status < 300, "GET {path}: {status} {answer}");
        answer
    }

    /// Asks until the answer is as wanted: the page shows a change before the server has it.
    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) {
        let began = Instant::now();
        loop {
            let found = self.get(path).await;
            if wanted(&found) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "GET {path}: {found}");
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// A session of another user.
    async fn log_in(&self, name: &str, password: &str) -> Option<Self> {
        let login = json!({ "login_id": name, "password": password });
        let answer = self.http.post(format!("{}/api/v4/users/login", self.base)).json(&login).send().await;
        let token = answer.expect("an answer").headers().get("token")?.to_str().expect("text").to_owned();
        Some(Self { base: self.base.clone(), http: self.http.clone(), token })
    }
}

fn id(value: &Value) -> &str {
    value["id"].as_str().expect("an id")
}

/// A tab, and where it begins.
struct Tab {
    page: Page,
    base: String,
}

impl Tab {
    async fn value(&self, script: &str) -> Value {
        let evaluated = self.page.evaluate(script).await;
        evaluated.unwrap_or_else(|error| panic!("{script}: {error}")).value().cloned().unwrap_or_default()
    }

    /// Evaluates until it is true.
    async fn until(&self, script: &str) {
        let began = Instant::now();
        while self.page.evaluate(script).await.ok().and_then(|answer| answer.value().cloned())
            != Some(json!(true))
        {
            let shown = async { self.value("document.body.innerText").await };
            if began.elapsed() > PATIENCE {
                panic!("never: {script}; the page shows {}", shown.await);
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// Until the page shows this text.
    async fn shows(&self, text: &str) {
        self.until(&format!("document.body.innerText.includes({})", json!(text))).await;
    }

    async fn open(&self, path: &str) {
        self.page.goto(format!("{}/{path}", self.base)).await.expect("a page");
    }

    async fn click(&self, selector: &str) {
        self.until(&format!("document.querySelector({}) !== null", json!(selector))).await;
        self.value(&format!("document.querySelector({}).click()", json!(selector))).await;
    }

    async fn fill(&self, selector: &str, text: &str) {
        self.until(&format!("document.querySelector({}) !== null", json!(selector))).await;
        self.value(&format!(
            "(() => {{ const e = document.querySelector({}); e.value = {}; e.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()",
            json!(selector),
            json!(text)
        ))
        .await;
    }

    /// Presses Enter in the message box.
    async fn send(&self) {
        self.value(
            "document.querySelector('#post_textbox').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }))",
        )
        .await;
    }

    async fn close_dialog(&self) {
        self.click("dialog[open] button[aria-label='Close']").await;
        self.until("document.querySelector('dialog[open]') === null").await;
    }

    /// Serious findings of axe in the view, in both themes.
    async fn accessible(&self, view: &str) {
        for theme in ["light", "dark"] {
            self.value(&format!("document.documentElement.dataset.theme = '{theme}'")).await;
            let found = self
                .value(
                    "axe.run(document, { resultTypes: ['violations'] }).then((found) => found.violations \
                     .filter((one) => ['serious', 'critical'].includes(one.impact)) \
                     .map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`))",
                )
                .await;
            assert_eq!(found, json!([]), "{view}, {theme}");
        }
    }
}

async fn chromium(profile: &Path) -> Browser {
    let mut config = BrowserConfig::builder()
        .new_headless_mode()
        .user_data_dir(profile)
        .window_size(1280, 800)
        .viewport(None)
        .request_timeout(PATIENCE)
        .launch_timeout(PATIENCE)
        .args(["disable-gpu", "disable-dev-shm-usage", "force-prefers-reduced-motion"]);
    if is_root() {
        config = config.no_sandbox();
    }
    let (browser, mut events) =
        Browser::launch(config.build().expect("Chromium")).await.expect("Chromium starts");
    tokio::spawn(async move { while events.next().await.is_some() {} });
    browser
}

async fn tab(browser: &Browser, base: &str) -> Tab {
    let page = browser.new_page("about:blank").await.expect("a tab");
    let axe = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/clients/node/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(&axe)
        .unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask test` installs it", axe.display()));
    page.evaluate_on_new_document(axe).await.expect("axe");
    Tab { page, base: base.to_owned() }
}

/// A deployment with a team, its administrator, ann and bob.
async fn people(place: &Place) -> (Api, Value, Value, Value) {
    let token = place.token().await;
    let admin = Api { base: place.url(), http: reqwest::Client::new(), token };
    let person = async |name: &str| {
        let account =
            json!({ "email": format!("{name}@example.com"), "username": name, "password": PASSWORD });
        admin.post("/users", account).await
    };
    let (ann, bob) = (person("ann").await, person("bob").await);
    let team = admin.post("/teams", json!({ "name": "crew", "display_name": "Crew", "type": "O" })).await;
    for one in [&ann, &bob] {
        admin
            .post(
                &format!("/teams/{}/members", id(&team)),
                json!({ "team_id": id(&team), "user_id": id(one) }),
            )
            .await;
    }
    (admin, team, ann, bob)
}

#[tokio::test]
async fn what_a_member_of_a_team_does_and_every_view_is_accessible() {
    let place = Place::new();
    place.up(&[]).expect(0);
    let (admin, team, ann, bob) = people(&place).await;
    let profile = tempfile::tempdir().expect("a profile");
    let mut browser = chromium(profile.path()).await;
    let tab = tab(&browser, &place.url()).await;

    tab.open("login").await;
    tab.shows("I forgot my password").await;
    tab.accessible("login").await;
    tab.click("a[href$='reset_password']").await;
    tab.shows("Ask an administrator").await;
    tab.accessible("forgotten password").await;
    tab.open(&format!("signup_user_complete/?id={}", team["invite_id"].as_str().expect("an invite"))).await;
    tab.shows("You are invited to the team Crew").await;
    tab.accessible("sign-up").await;

    tab.open("login").await;
    tab.fill("#input_loginId", "ann").await;
    tab.fill("#input_password-input", PASSWORD).await;
    tab.click("#saveSetting").await;
    tab.until("document.querySelector('#post_textbox') !== null").await;

    // Text of any direction, any emoji by any of its names, nothing cut.
    let direct = admin.log_in("ann", PASSWORD).await.expect("ann's session");
    tab.fill("#post_textbox", "שלום :taco: :rolling_on_the_floor_laughing: :flag-ch: :no_such_emoji:").await;
    tab.send().await;
    tab.shows("שלום 🌮 🤣 🇨🇭 :no_such_emoji:").await;
    tab.until("getComputedStyle([...document.querySelectorAll('.post .text')].at(-1)).direction === 'rtl'")
        .await;
    let long = "long ".repeat(4_000);
    tab.fill("#post_textbox", &long).await;
    tab.send().await;
    tab.shows("characters too long").await;
    assert_eq!(tab.value("document.querySelector('#post_textbox').value.length").await, json!(long.len()));
    tab.fill("#post_textbox", "").await;

    // A reaction with one of all emoji.
    let town = direct.get(&format!("/teams/{}/channels/name/town-square", id(&team))).await;
    let post = direct.post("/posts", json!({ "channel_id": id(&town), "message": "react to me" })).await;
    let place_of = format!("#post_{}", id(&post));
    tab.click(&format!("{place_of} button[aria-label='Add a reaction']")).await;
    tab.accessible("emoji menu").await;
    tab.click(".menu--emoji .menu__entry").await;
    tab.fill("dialog[open] input", "sauropod").await;
    tab.until("document.querySelectorAll('dialog[open] .emoji').length === 1").await;
    tab.accessible("all emoji").await;
    tab.click("dialog[open] .emoji").await;
    tab.until(&format!(
        "document.querySelector('{place_of} .reaction')?.textContent.includes('🦕') === true"
    ))
    .await;
    tab.until("document.querySelector('dialog[open]') === null").await;
    let reactions = format!("/posts/{}/reactions", id(&post));
    direct.until(&reactions, |found| found[0]["emoji_name"] == "sauropod").await;

    // A private channel, and somebody else in it.
    let secret = json!({ "team_id": id(&team), "name": "plans", "display_name": "Plans", "type": "P", "purpose": "What we do next" });
    let secret = direct.post("/channels", secret).await;
    tab.open("crew/channels/plans").await;
    tab.click("#channelMembers").await;
    tab.until("[...document.querySelectorAll('dialog[open] .choice')].some((one) => one.textContent.includes('ann'))").await;
    tab.accessible("members").await;
    tab.click("#addMembers").await;
    tab.fill("dialog[open] input", "bob").await;
    tab.until("document.querySelectorAll('dialog[open] .choice').length === 1").await;
    tab.accessible("adding people").await;
    tab.click("dialog[open] .choice").await;
    tab.shows("bob is now a member of Plans").await;
    let member = format!("/channels/{}/members/{}", id(&secret), id(&bob));
    direct.until(&member, |found| found["user_id"] == bob["id"]).await;

    // Profile and password.
    tab.click("#account").await;
    tab.fill("#accountNickname", "Annie").await;
    tab.accessible("account").await;
    tab.click("#accountSave").await;
    tab.shows("Your account is changed").await;
    assert_eq!(direct.get("/users/me").await["nickname"], "Annie");
    let changed = "another horse 9 battery";
    for (field, text) in [("passwordCurrent", "wrong"), ("passwordNew", changed), ("passwordAgain", changed)]
    {
        tab.fill(&format!("#{field}"), text).await;
    }
    tab.click("#passwordSave").await;
    tab.until("document.querySelector('#passwordSave-problem').textContent !== ''").await;
    tab.fill("#passwordCurrent", PASSWORD).await;
    tab.click("#passwordSave").await;
    tab.shows("Your password is changed").await;
    assert!(admin.log_in("ann", changed).await.is_some() && admin.log_in("ann", PASSWORD).await.is_none());
    let annie = admin.log_in("ann", changed).await.expect("a session");

    // The other dialogs and pages.
    for (button, view) in [
        ("button[aria-label='Write to a person']", "people"),
        ("button[aria-label='Browse or create channels']", "channels"),
        ("button[aria-label='Find a channel or person (Ctrl+K)']", "switcher"),
        ("button[aria-label='Invite people']", "invite"),
    ] {
        tab.open("crew/channels/town-square").await;
        tab.click(button).await;
        tab.until("document.querySelector('dialog[open]') !== null").await;
        tab.accessible(view).await;
        tab.close_dialog().await;
    }
    tab.click("button[aria-label='Browse or create channels']").await;
    tab.click("#createChannel").await;
    tab.accessible("create a channel").await;
    tab.fill("#channelName", &"n".repeat(70)).await;
    tab.click("#createChannelButton").await;
    tab.shows("6 characters too many").await;
    tab.close_dialog().await;
    for path in ["select_team", "create_team"] {
        tab.open(path).await;
        tab.until("document.querySelector('main h1') !== null").await;
        tab.accessible(path).await;
    }

    // A link to an old message, and to a reply.
    let old = annie.post("/posts", json!({ "channel_id": id(&town), "message": "the old one" })).await;
    let reply = annie
        .post("/posts", json!({ "channel_id": id(&town), "root_id": id(&old), "message": "a reply to it" }))
        .await;
    for number in 0..300 {
        annie
            .post("/posts", json!({ "channel_id": id(&town), "message": format!("message {number}") }))
            .await;
    }
    tab.open(&format!("crew/pl/{}", id(&old))).await;
    tab.until(&format!("document.querySelector('#post_{}.post--marked') !== null", id(&old))).await;
    tab.open(&format!("_redirect/pl/{}", id(&reply))).await;
    tab.until(&format!("document.querySelector('#rhsPost_{}.post--marked') !== null", id(&reply))).await;
    tab.accessible("a channel with a thread").await;
    tab.open("crew/pl/aaaaaaaaaaaaaaaaaaaaaaaaaa").await;
    tab.shows("This message cannot be shown").await;
    tab.accessible("a failure").await;

    // Another address than the site URL.
    tab.page.goto(format!("http://127.0.0.1:{}/login", place.port)).await.expect("a page");
    tab.shows(&format!("the address of this site is {}", place.url())).await;
    tab.accessible("another address").await;
    drop(ann);
    browser.close().await.expect("Chromium ends");
    let _ = browser.wait().await;
}

/// Sends nine messages; the milliseconds that each took until it was on the screen.
const QUICK: &str = "(async () => {
    const [area, list, times] = [document.querySelector('#post_textbox'), document.querySelector('#postListContent'), []];
    for (let turn = 0; turn < 9; turn++) {
        area.value = `quick ${turn}`;
        area.dispatchEvent(new Event('input'));
        const began = performance.now();
        area.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', cancelable: true }));
        while (!list.lastElementChild.textContent.includes(`quick ${turn}`)) await new Promise((done) => { setTimeout(done); });
        await new Promise((done) => { requestAnimationFrame(() => setTimeout(done)); });
        times.push(Math.round(performance.now() - began));
        await new Promise((done) => { setTimeout(done, 300); });
    }
    return times.sort((a, b) => a - b);
})()";

/// Prints how long a message takes until it is on the screen, from the key press, in milliseconds; it is not judged here.
#[tokio::test]
async fn a_channel_with_5000_loaded_messages() {
    const MESSAGES: usize = 5_000;
    let place = Place::new();
    place.up(&[]).expect(0);
    let (admin, team, ..) = people(&place).await;
    let ann = admin.log_in("ann", PASSWORD).await.expect("ann's session");
    let town = ann.get(&format!("/teams/{}/channels/name/town-square", id(&team))).await;
    let message =
        |number: usize| json!({ "channel_id": id(&town), "message": format!("message *{number}*") });
    let first = ann.post("/posts", message(0)).await;
    let others = futures_util::stream::iter(1..MESSAGES).map(|number| ann.post("/posts", message(number)));
    others.buffer_unordered(16).for_each(|_| std::future::ready(())).await;
    let profile = tempfile::tempdir().expect("a profile");
    let mut browser = chromium(profile.path()).await;
    let tab = tab(&browser, &place.url()).await;
    tab.open("login").await;
    tab.fill("#input_loginId", "ann").await;
    tab.fill("#input_password-input", PASSWORD).await;
    tab.click("#saveSetting").await;
    tab.until("document.querySelector('#post_textbox') !== null").await;
    tab.until("document.querySelectorAll('#postListContent .post').length >= 60").await;
    let few = tab.value(QUICK).await;
    tab.open(&format!("crew/pl/{}", id(&first))).await;
    tab.until(&format!("document.querySelector('#post_{}.post--marked') !== null", id(&first))).await;
    let loaded = tab.value("document.querySelectorAll('#postListContent .post').length").await;
    assert!(loaded.as_u64().expect("a number") >= 5_000, "{loaded}");
    let many = tab.value(QUICK).await;
    println!(
        "from the key press to the screen, in ms: {few} with one page of messages, {many} with {loaded}"
    );
    browser.close().await.expect("Chromium ends");
    let _ = browser.wait().await;
}
