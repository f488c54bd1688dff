//! Takes away what the test has made, and looks whether it is gone.

use serde_json::json;

use crate::authority::Authority;
use crate::made::{Group, Made, NewTeam};
use crate::person::Person;
use crate::site::Site;
use crate::standing::set_active;
use crate::symptom::{Fault, Symptom};
use crate::wire::{PostList, Team, User};

impl Made {
    /// Removes everything that this run has made and that is not to stay for the next one. Answers what could not be removed.
    ///
    /// Over the local channel it is removed for good, elsewhere as far as the server allows: accounts are deactivated at least, a team
    /// is archived at least. The standing accounts are deactivated.
    pub(crate) async fn clear(&mut self, site: &Site) -> Vec<String> {
        let admin = self.admin.as_ref().map(|admin| &admin.authority);
        let mut stays = Vec::new();
        clear_group(&mut self.group, site, admin, &mut stays).await;
        if let Some(group) = &mut self.in_browser {
            clear_group(group, site, admin, &mut stays).await;
        }
        if let Some(stranger) = &self.stranger {
            stays.extend(stranger.leave(site, admin).await.err());
        }
        self.log_out_admin(site).await;
        stays
    }
}

async fn clear_group(group: &mut Group, site: &Site, admin: Option<&Authority>, stays: &mut Vec<String>) {
    for person in [&mut group.first, &mut group.second] {
        // Created in the browser, or the answer was lost. If it does not exist, there is nothing to do.
        if person.attempted && person.token.is_none() {
            let _ = person.log_in(site).await;
        }
    }
    match &group.team {
        Some(team) if team.standing => stays.extend(empty(site, team, group).await.err()),
        Some(team) => {
            if let Err(fault) = remove_team(site, team, &group.first, admin).await {
                stays.push(format!("the team `{}` ({fault})", team.name));
            }
        }
        None => {}
    }
    let (first, second) = tokio::join!(group.first.leave(site, admin), group.second.leave(site, admin));
    stays.extend(first.err().into_iter().chain(second.err()));
}

/// Deletes the posts in a team that stays, and takes the second user out of it, who joins it again in the next test.
async fn empty(site: &Site, team: &NewTeam, group: &Group) -> Result<(), String> {
    let work = async {
        if let (Some((post, channel)), Ok(token)) = (&group.root, group.first.token()) {
            site.delete(&format!("posts/{post}")).by(token).done().await?;
            let path = format!("channels/{channel}/posts");
            let list: PostList = site.get(&path).by(token).json().await?;
            if list.posts.contains_key(post) {
                let symptom = Symptom::Wrong { what: "the deleted post is still in the list".to_owned() };
                return Err(Fault { during: format!("GET /api/v4/{path}"), symptom });
            }
        }
        if let (Some(team), Some(id), Ok(token)) = (&team.id, &group.second.id, group.second.token()) {
            site.delete(&format!("teams/{team}/members/{id}")).by(token).done().await?;
        }
        Ok(())
    };
    work.await.map_err(|fault| format!("posts or members of the team `{}` ({fault})", team.name))
}

async fn remove_team(
    site: &Site,
    team: &NewTeam,
    owner: &Person,
    admin: Option<&Authority>,
) -> Result<(), Fault> {
    let owners = owner.token().ok().map(|token| Authority::Session(token.clone()));
    let Some(authority) = admin.or(owners.as_ref()) else { return owner.token().map(drop) };
    let id = match &team.id {
        Some(id) => id.clone(),
        // The answer was lost. If the team does not exist, there is nothing to do.
        None => match authority.get(site, &format!("teams/name/{}", team.name)).json::<Team>().await {
            Ok(team) => team.id,
            Err(_) => return Ok(()),
        },
    };
    let path = format!("teams/{id}");
    if admin.is_none() || authority.delete(site, &format!("{path}?permanent=true")).done().await.is_err() {
        authority.delete(site, &path).done().await?;
    }
    match authority.get(site, &path).json::<Team>().await {
        Ok(team) if team.delete_at == 0 => {
            let symptom =
                Symptom::Wrong { what: "the server said that it is removed, and it is not".to_owned() };
            Err(Fault { during: format!("DELETE /api/v4/{path}"), symptom })
        }
        // A team that is gone, or that its owner may not see any more.
        _ => Ok(()),
    }
}

impl Person {
    /// Ends the account: a standing one is deactivated, another one removed as far as the server allows. The error says what stays.
    async fn leave(&self, site: &Site, admin: Option<&Authority>) -> Result<(), String> {
        if let (Some(token), Some(admin)) = (&self.token_id, admin) {
            let revoked =
                admin.post(site, "users/tokens/revoke").body(&json!({ "token_id": token })).done().await;
            revoked.map_err(|fault| format!("an access token of `{}` ({fault})", self.name))?;
        }
        let why = match admin {
            Some(admin) => self.removed_by(site, admin).await.err().map(|fault| fault.to_string()),
            None => self.deactivated_by_itself(site).await,
        };
        let Some(why) = why else { return Ok(()) };
        self.log_out(site).await;
        Err(format!("the account `{}` ({why})", self.name))
    }

    async fn removed_by(&self, site: &Site, admin: &Authority) -> Result<(), Fault> {
        let id = match &self.id {
            Some(id) => id.clone(),
            None if self.attempted => {
                match admin.get(site, &format!("users/username/{}", self.name)).json::<User>().await {
                    Ok(user) => user.id,
                    Err(_) => return Ok(()),
                }
            }
            None => return Ok(()),
        };
        let path = format!("users/{id}");
        let for_good =
            !self.standing && admin.delete(site, &format!("{path}?permanent=true")).done().await.is_ok();
        if !for_good {
            set_active(site, admin, &id, false).await?;
        }
        match admin.get(site, &path).json::<User>().await {
            Ok(user) if user.delete_at == 0 && !user.id.is_empty() => {
                let what = "the server said that it is deactivated, and it is not".to_owned();
                Err(Fault { during: format!("PUT /api/v4/{path}/active"), symptom: Symptom::Wrong { what } })
            }
            _ => Ok(()),
        }
    }

    /// Without an administrator: why it stays.
    async fn deactivated_by_itself(&self, site: &Site) -> Option<String> {
        let Some(id) = &self.id else {
            return None;
        };
        let Some(token) = &self.token else { return Some("it could not log in".to_owned()) };
        let inactive = json!({ "active": false });
        let asked = site.put(&format!("users/{id}/active")).by(token).body(&inactive).done().await;
        match asked {
            Ok(()) if site.get("users/me").by(token).done().await.is_ok() => {
                Some("the server said that it is deactivated, and its session still works".to_owned())
            }
            Ok(()) => None,
            Err(Fault { symptom: Symptom::Answer(answer), .. }) if answer.from_mattermost => {
                Some("users may not deactivate themselves on this server".to_owned())
            }
            Err(fault) => Some(fault.to_string()),
        }
    }

    pub(crate) async fn log_out(&self, site: &Site) {
        if let Some(token) = &self.token {
            let _ = site.post("users/logout").by(token).done().await;
        }
    }
}
