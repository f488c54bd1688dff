//! Finding posts and files by what is in them.
//!
//! PostgreSQL uses Mattermost's text indexes. SQLite reads `mainstaypostsearch`, whose rows have numbers in the order of
//! time: the newest posts are found first, and reading ends with the last that is wanted.

use super::handle::Store;
use crate::error::Result;
use crate::id::Id;
use crate::model::{FileInfo, Post};
use crate::search::{Terms, Word};
use crate::sql::{Pool, Query, escape_like, query};

/// The most posts or files that a search finds, as in Mattermost.
const MOST: i64 = 100;

/// A millisecond's numbers in `mainstaysearchedposts`.
const NUMBERS: i64 = 4096;

/// Where posts are searched, with the names of the terms resolved.
pub(crate) struct Scope {
    /// Only what this person is a member of is searched.
    pub(crate) user: Id,
    /// Channels of this team and direct ones; all if there is none.
    pub(crate) team: Id,
    /// Archived channels, too.
    pub(crate) archived: bool,
    /// One of the words is enough.
    pub(crate) any_word: bool,
    pub(crate) channels: Option<Vec<Id>>,
    pub(crate) without_channels: Vec<Id>,
    pub(crate) authors: Option<Vec<Id>>,
    pub(crate) without_authors: Vec<Id>,
}

impl Store {
    /// The newest posts that have what `terms` say.
    pub(crate) async fn search_posts(&self, terms: &Terms, scope: &Scope) -> Result<Vec<Post>> {
        let query = match &self.readers {
            Pool::Sqlite(_) => on_sqlite(terms, scope),
            Pool::Postgres(_) => on_postgres(terms, scope),
        };
        Ok(query.fetch_all(&self.readers).await?)
    }

    /// The newest files of posts whose names have what `terms` say.
    pub(crate) async fn search_files(&self, terms: &Terms, scope: &Scope) -> Result<Vec<FileInfo>> {
        let mut query = query("select * from fileinfo where deleteat = 0 and postid <> ''");
        in_scope(&mut query, scope, "channelid", "creatorid");
        within(&mut query, terms, "createat", 1);
        for (choice, negation) in [(&terms.extensions.wanted, ""), (&terms.extensions.unwanted, "not ")] {
            if !choice.is_empty() {
                query
                    .push(" and ")
                    .push(negation)
                    .push("(extension = any(")
                    .push_bind(choice.clone())
                    .push("))");
            }
        }
        let named = |query: &mut Query, word: &Word| {
            let (Word::Text(text)
            | Word::Prefix(text)
            | Word::Piece(text)
            | Word::Hashtag { name: text, .. }) = word;
            query.push("lower(name) like ").push_bind(contains(&text.to_lowercase())).push(" escape '\\'");
        };
        each(&mut query, &terms.words, if scope.any_word { " or " } else { " and " }, "", named);
        each(&mut query, &terms.without, " or ", "not ", named);
        query.push(" order by createat desc, id limit ").push_bind(MOST);
        Ok(query.fetch_all(&self.readers).await?)
    }

    /// Those channels of `user` that have one of these names, archived or not.
    pub(crate) async fn channels_named(&self, user: Id, team: Id, names: &[String]) -> Result<Vec<Id>> {
        let rows = query(
            "select channels.id from channels join channelmembers on channelmembers.channelid = channels.id \
             where channelmembers.userid = $1 and ($2 = '' or channels.teamid in ($2, '')) and channels.name = any($3)",
        );
        Ok(rows.bind(user).bind(team).bind(names.to_vec()).fetch_all(&self.readers).await?)
    }
}

/// Appends a condition for each word, joined by `joint`, if there are words.
fn each(
    query: &mut Query,
    words: &[Word],
    joint: &str,
    negation: &str,
    condition: impl Fn(&mut Query, &Word),
) {
    for (index, word) in words.iter().enumerate() {
        match index {
            0 => query.push(" and ").push(negation).push("("),
            _ => query.push(joint),
        };
        condition(query, word);
    }
    if !words.is_empty() {
        query.push(")");
    }
}

/// Appends who may see it, and the filters by channel and person.
fn in_scope(query: &mut Query, scope: &Scope, channel: &str, person: &str) {
    query.push(" and ").push(channel).push(
        " in (select channels.id from channels join channelmembers on channelmembers.channelid = channels.id \
         where channelmembers.userid = ",
    );
    query.push_bind(scope.user);
    if !scope.team.is_none() {
        query.push(" and channels.teamid in (").push_bind(scope.team).push(", '')");
    }
    query.push(if scope.archived { ")" } else { " and channels.deleteat = 0)" });
    for (column, wanted, unwanted) in [
        (channel, &scope.channels, &scope.without_channels),
        (person, &scope.authors, &scope.without_authors),
    ] {
        if let Some(ids) = wanted {
            query.push(" and ").push(column).push(" = any(").push_bind(ids).push(")");
        }
        if !unwanted.is_empty() {
            query.push(" and not (").push(column).push(" = any(").push_bind(unwanted).push("))");
        }
    }
}

/// Appends the limits of time. `unit` is what `column` counts in a millisecond.
fn within(query: &mut Query, terms: &Terms, column: &str, unit: i64) {
    let times = &terms.times;
    query.push(" and ").push(column).push(" >= ").push_bind(times.from * unit);
    query.push(" and ").push(column).push(" < ").push_bind(times.until * unit);
    for (from, until) in &times.without {
        query.push(" and not (").push(column).push(" >= ").push_bind(from * unit);
        query.push(" and ").push(column).push(" < ").push_bind(until * unit).push(")");
    }
}

/// The pattern of LIKE for texts that contain `text`.
fn contains(text: &str) -> String {
    format!("%{}%", escape_like(text))
}

/// The pattern of LIKE for the hashtags of a post with a space before and after them.
fn hashtag(name: &str, prefix: bool) -> String {
    format!("% {}{}%", escape_like(name), if prefix { "" } else { " " })
}

// ---- SQLite

fn on_sqlite(terms: &Terms, scope: &Scope) -> Query {
    let positive: Vec<String> = terms.words.iter().filter_map(match_of).collect();
    // If one word is enough, and one of them is not in the index, the index alone cannot answer.
    let by_index = !positive.is_empty() && (!scope.any_word || positive.len() == terms.words.len());
    let mut query = query("select posts.* from ");
    if by_index {
        query.push(
            "mainstaypostsearch f cross join mainstaysearchedposts s on s.number = f.rowid \
             cross join posts on posts.id = s.postid where mainstaypostsearch match ",
        );
        query.push_bind(positive.join(if scope.any_word { " OR " } else { " AND " }));
    } else {
        let pieces = terms.words.iter().any(|word| matches!(word, Word::Piece(_))) && !scope.any_word;
        query.push("mainstaysearchedposts s cross join posts on posts.id = s.postid where ");
        query.push(if pieces { "s.hascjk" } else { "true" });
    }
    within(&mut query, terms, if by_index { "f.rowid" } else { "s.number" }, NUMBERS);
    in_scope(&mut query, scope, "posts.channelid", "posts.userid");
    // What the index cannot say: pieces, and that a hashtag is the whole one.
    let rest = |query: &mut Query, word: &Word| match (word, match_of(word)) {
        (Word::Piece(text), _) => {
            query.push("posts.message like ").push_bind(contains(text)).push(" escape '\\'");
        }
        (Word::Hashtag { name, prefix }, _) => {
            query.push("(' ' || lower(posts.hashtags) || ' ') like ");
            query.push_bind(hashtag(name, *prefix)).push(" escape '\\'");
        }
        (_, Some(text)) => {
            query.push("s.number in (select rowid from mainstaypostsearch where mainstaypostsearch match ");
            query.push_bind(text).push(")");
        }
        (_, None) => {}
    };
    if by_index && !scope.any_word {
        let words: Vec<Word> = terms.words.iter().filter(|word| is_partly_indexed(word)).cloned().collect();
        each(&mut query, &words, " and ", "", rest);
    } else if !by_index || terms.words.iter().any(is_partly_indexed) {
        each(&mut query, &terms.words, if scope.any_word { " or " } else { " and " }, "", rest);
    }
    each(&mut query, &terms.without, " or ", "not ", rest);
    query.push(if by_index { " order by f.rowid desc" } else { " order by s.number desc" });
    query.push(" limit ").push_bind(MOST);
    query
}

/// Whether the index of SQLite does not say all of a word.
fn is_partly_indexed(word: &Word) -> bool {
    matches!(word, Word::Piece(_) | Word::Hashtag { .. })
}

/// The word in the language of FTS5; none if it is not in the index.
fn match_of(word: &Word) -> Option<String> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    match word {
        Word::Text(text) => Some(format!("message : {}", quoted(text))),
        Word::Prefix(text) => Some(format!("message : {} *", quoted(text))),
        Word::Hashtag { name, prefix: false } => Some(format!("hashtags : {}", quoted(name))),
        Word::Hashtag { name, prefix: true } => Some(format!("hashtags : {} *", quoted(name))),
        Word::Piece(_) => None,
    }
}

// ---- PostgreSQL

fn on_postgres(terms: &Terms, scope: &Scope) -> Query {
    let mut query = query(
        "select posts.* from posts where deleteat = 0 and originalid = '' and type not like 'system\\_%'",
    );
    within(&mut query, terms, "createat", 1);
    in_scope(&mut query, scope, "channelid", "userid");
    // The words of the text are one question, so that words that the index leaves out ("the") do not count.
    let in_text = |word: &&Word| matches!(word, Word::Text(_) | Word::Prefix(_));
    let elsewhere = |query: &mut Query, word: &Word| match word {
        Word::Hashtag { name, prefix } => {
            query.push("(to_tsvector('english', hashtags) @@ ");
            match prefix {
                false => query.push("plainto_tsquery('english', ").push_bind(name.as_str()),
                true => query.push("to_tsquery('english', ").push_bind(prefix_query(name)),
            };
            query.push(") and (' ' || lower(hashtags) || ' ') like ");
            query.push_bind(hashtag(name, *prefix)).push(" escape '\\')");
        }
        Word::Piece(text) => {
            query.push("message ilike ").push_bind(contains(text)).push(" escape '\\'");
        }
        text => {
            query.push("to_tsvector('english', message) @@ ");
            text_query(query, text);
        }
    };
    if scope.any_word {
        each(&mut query, &terms.words, " or ", "", elsewhere);
    } else {
        let (texts, others): (Vec<&Word>, Vec<&Word>) = terms.words.iter().partition(in_text);
        for (index, word) in texts.iter().enumerate() {
            query.push(if index == 0 { " and to_tsvector('english', message) @@ (" } else { " && " });
            text_query(&mut query, word);
        }
        if !texts.is_empty() {
            query.push(")");
        }
        let others: Vec<Word> = others.into_iter().cloned().collect();
        each(&mut query, &others, " and ", "", elsewhere);
    }
    each(&mut query, &terms.without, " or ", "not ", elsewhere);
    // PostgreSQL expects more posts with a phrase, or with several words, than there are, and would read the posts from the
    // newest on to find the first of them. Without an index for this order it uses the index of the words.
    let rare = terms.words.len() > 1
        || terms
            .words
            .iter()
            .any(|word| matches!(word, Word::Text(text) if text.contains(char::is_whitespace)));
    query.push(if rare && !scope.any_word {
        " order by createat + 0 desc"
    } else {
        " order by createat desc"
    });
    query.push(", id desc limit ").push_bind(MOST);
    query
}

/// Appends a word of the text as a tsquery.
fn text_query(query: &mut Query, word: &Word) {
    match word {
        Word::Prefix(text) => query.push("to_tsquery('english', ").push_bind(prefix_query(text)),
        Word::Text(text) | Word::Piece(text) | Word::Hashtag { name: text, .. } => {
            query.push("phraseto_tsquery('english', ").push_bind(text.as_str())
        }
    };
    query.push(")");
}

/// The words in `text`, in their order, of which the last is the beginning of a word, in the language of `to_tsquery`.
fn prefix_query(text: &str) -> String {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| format!("'{word}'"))
        .collect();
    format!("{}:*", words.join(" <-> "))
}
