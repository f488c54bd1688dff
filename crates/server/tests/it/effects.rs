//! Every changing route: what it answered with 2xx is seen by a second client, by its websocket, and after a restart.

mod cases;

use serde_json::{Value, json};

use crate::site::{Person, Site, Socket, text};

/// A request of the administrator, what tells the second client, and where that client sees it.
///
/// Paths and bodies may name the objects that [`Place`] makes for each case: `{team}`, `{channel}`, `{post}`, `{reply}`,
/// `{ada}`, `{bob}`, `{cy}`.
struct Case {
    method: &'static str,
    path: &'static str,
    body: Value,
    /// The event that Bob's websocket gets; `""` if none is sent to him.
    event: &'static str,
    seen: Seen,
}

enum Seen {
    /// Bob's GET answers with what this accepts.
    Bob(&'static str, fn(&Value) -> bool),
    /// The administrator's GET answers with what this accepts.
    Ada(&'static str, fn(&Value) -> bool),
    /// The administrator's GET is refused with this status.
    Refused(&'static str, u16),
}

use Seen::{Ada, Bob, Refused};

fn case(method: &'static str, path: &'static str, body: Value, event: &'static str, seen: Seen) -> Case {
    Case { method, path, body, event, seen }
}

impl Case {
    /// Whether the case names this object.
    fn names(&self, name: &str) -> bool {
        let (Bob(path, _) | Ada(path, _) | Refused(path, _)) = self.seen;
        self.path.contains(name) || path.contains(name) || self.body.to_string().contains(name)
    }
}

/// The objects of one case.
struct Place {
    names: Vec<(&'static str, String)>,
    ada: Person,
    bob: Person,
}

impl Place {
    /// A team with a channel, a post of Bob's with a reply of Ada's, a reaction and a draft.
    async fn new(site: &Site, [ada, bob, dee]: &[Person; 3], case: &Case, number: usize) -> Place {
        let (team, _) = ada.team(&format!("team{number}")).await;
        let team_id = text(&team["id"]);
        bob.join(&team).await;
        let channel = json!({"team_id": team_id, "name": "deck", "display_name": "Deck", "type": "O"});
        let channel = text(&ada.post("channels", channel).await["id"]);
        let members = format!("channels/{channel}/members");
        ada.post(&members, json!({"user_id": bob.id})).await;
        let post = text(&bob.say(&channel, "a post").await["id"]);
        let reply = |message: &str| json!({"channel_id": channel, "root_id": post, "message": message});
        let answer = text(&ada.post("posts", reply("a reply")).await["id"]);
        ada.post("reactions", json!({"user_id": ada.id, "post_id": answer, "emoji_name": "wave"})).await;
        let draft = json!({"channel_id": channel, "root_id": post, "message": "a draft in a thread"});
        ada.post("drafts", draft).await;
        let names = vec![
            ("{team}", team_id),
            ("{channel}", channel),
            ("{post}", post),
            ("{reply}", answer),
            ("{ada}", ada.id.clone()),
            ("{bob}", bob.id.clone()),
            ("{dee}", dee.id.clone()),
        ];
        let mut place = Place { names, ada: ada.clone(), bob: bob.clone() };
        if case.names("{cy") {
            // An account takes a while to make.
            let cy = site.sign_up(&format!("cy{number}")).await;
            cy.join(&team).await;
            place.add_what_cy_left(&cy).await;
        }
        place
    }

    /// A reply and a reaction of Cy, who leaves the channel again.
    async fn add_what_cy_left(&mut self, cy: &Person) {
        let (channel, post) = (self.filled("{channel}"), self.filled("{post}"));
        cy.post(&format!("channels/{channel}/members"), json!({"user_id": cy.id})).await;
        let own = cy.say(&channel, "Cy was here").await;
        let reaction = json!({"user_id": cy.id, "post_id": post, "emoji_name": "eyes"});
        cy.post("reactions", reaction).await;
        cy.delete(&format!("channels/{channel}/members/{}", cy.id)).await;
        self.names.push(("{cy}", cy.id.clone()));
        self.names.push(("{cys}", text(&own["id"])));
    }

    fn filled(&self, template: &str) -> String {
        self.names.iter().fold(template.to_owned(), |text, (name, id)| text.replace(name, id))
    }

    async fn check(&self, case: &Case, when: &str) {
        let (person, path) = match case.seen {
            Bob(path, _) => (&self.bob, path),
            Ada(path, _) | Refused(path, _) => (&self.ada, path),
        };
        let answer = person.request("GET", &self.filled(path)).send().await.expect("the server answers");
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap_or_default();
        let is_seen = match case.seen {
            Bob(_, accepts) | Ada(_, accepts) => status == 200 && accepts(&body),
            Refused(_, expected) => status == expected,
        };
        assert!(is_seen, "{when}, after {} {}: GET {path} {status} {body}", case.method, case.path);
    }
}

/// Waits for the event called `name`.
async fn hears(socket: &mut Socket, name: &str, case: &Case) {
    loop {
        let message = socket.next().await;
        let message = message.unwrap_or_else(|| panic!("{} {}: no event {name}", case.method, case.path));
        if message["event"] == name {
            return;
        }
    }
}

async fn take_effect(cases: Vec<Case>) {
    let settings = json!({"ServiceSettings": {
        "EnableAPIUserDeletion": true, "EnableAPITeamDeletion": true, "EnableAPIChannelDeletion": true,
        "EnableAPIPostDeletion": true,
    }});
    let site = Site::with(settings.clone()).await;
    let people = [site.sign_up("ada").await, site.sign_up("bob").await, site.sign_up("dee").await];
    let mut done = Vec::new();
    for (number, case) in cases.into_iter().enumerate() {
        let place = Place::new(&site, &people, &case, number).await;
        let mut socket = site.socket_of(&place.bob, "").await;
        socket.event("hello").await;
        let body: Value =
            serde_json::from_str(&place.filled(&case.body.to_string())).expect("a body stays JSON");
        let request = place.ada.request(case.method, &place.filled(case.path)).json(&body);
        let answer = request.send().await.expect("the server answers");
        let status = answer.status();
        assert!(
            status.is_success(),
            "{} {} {status} {}",
            case.method,
            case.path,
            answer.text().await.unwrap_or_default()
        );
        if !case.event.is_empty() {
            hears(&mut socket, case.event, &case).await;
        }
        place.check(&case, "at once").await;
        done.push((place, case));
    }
    let site = Site::in_directory(site.end().await, settings).await;
    for (mut place, case) in done {
        place.ada = place.ada.at(&site);
        place.bob = place.bob.at(&site);
        place.check(&case, "after a restart").await;
    }
    site.end().await;
}

#[tokio::test]
async fn changes_of_posts_are_seen_by_others_and_after_a_restart() {
    take_effect(cases::posts()).await;
}

#[tokio::test]
async fn changes_of_channels_are_seen_by_others_and_after_a_restart() {
    take_effect(cases::channels()).await;
}

#[tokio::test]
async fn changes_of_teams_and_accounts_are_seen_by_others_and_after_a_restart() {
    take_effect(cases::teams_and_accounts()).await;
}
