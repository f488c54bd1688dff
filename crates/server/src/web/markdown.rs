//! Parses Markdown into a tree of elements. The page creates each element itself, so only those in [`Tag`] can appear.
//!
//! Raw HTML becomes text, images become links, and links to other schemes than http, https and mailto become text.
//! Rejected: sanitised HTML, because the page would need `innerHTML` and a Content-Security-Policy that allows it.

use pulldown_cmark::{Alignment, CodeBlockKind, Event, Options, Parser, Tag as Start};
use serde::Serialize;

/// The longest text that is parsed, in bytes: four for each of the 16 383 characters that a post may have.
const LONGEST: usize = 65_535;
/// The deepest nesting of elements; deeper ones keep their text and lose their formatting.
const DEEPEST: usize = 16;
/// The most elements in one text. A post with more, which would be slow to show, is shown as plain text.
const MOST: usize = 4_000;

/// A text, or an element that contains other nodes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Node {
    Text(String),
    Element(Element),
}

/// An element, with what the page needs to create it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Element {
    tag: Tag,
    #[serde(skip_serializing_if = "Option::is_none")]
    href: Option<String>,
    /// The language of a code block, as the author wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    lang: Option<String>,
    /// The first number of an ordered list.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    align: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<Node>,
}

/// All elements, by their HTML names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tag {
    A,
    Blockquote,
    Br,
    Code,
    Del,
    Em,
    H1,
    H2,
    H3,
    H4,
    H5,
    H6,
    Hr,
    Input,
    Li,
    Ol,
    P,
    Pre,
    Strong,
    Table,
    Td,
    Th,
    Tr,
    Ul,
}

impl Element {
    fn new(tag: Tag) -> Element {
        Element { tag, href: None, lang: None, start: None, checked: None, align: None, children: Vec::new() }
    }
}

/// Parses `text`. If it is too long or has too many elements, the result is one plain text.
pub(crate) fn tree(text: &str) -> Vec<Node> {
    let plain = || vec![Node::Text(text.to_owned())];
    if text.len() > LONGEST {
        return plain();
    }
    let options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS;
    let mut builder = Builder::default();
    for event in Parser::new_ext(text, options) {
        builder.take(event);
        if builder.elements > MOST {
            return plain();
        }
    }
    builder.finish()
}

/// The open elements, innermost last. `None` stands for an element whose children go to its parent.
#[derive(Default)]
struct Builder {
    open: Vec<(Option<Element>, Vec<Node>)>,
    done: Vec<Node>,
    elements: usize,
    columns: Vec<Alignment>,
    column: usize,
    in_head: bool,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(start) => {
                let element = self.element(&start).filter(|_| self.open.len() < DEEPEST);
                self.elements += 1;
                self.open.push((element, Vec::new()));
            }
            Event::End(_) => self.close(),
            Event::Text(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => self.text(&text),
            Event::Code(text) => {
                let code =
                    Element { children: vec![Node::Text(text.into_string())], ..Element::new(Tag::Code) };
                self.push(code);
            }
            Event::SoftBreak | Event::HardBreak => self.push(Element::new(Tag::Br)),
            Event::Rule => self.push(Element::new(Tag::Hr)),
            Event::TaskListMarker(checked) => {
                self.push(Element { checked: Some(checked), ..Element::new(Tag::Input) });
            }
        }
    }

    fn element(&mut self, start: &Start<'_>) -> Option<Element> {
        let tag = match start {
            Start::Paragraph | Start::HtmlBlock => Tag::P,
            Start::Heading { level, .. } => {
                [Tag::H1, Tag::H2, Tag::H3, Tag::H4, Tag::H5, Tag::H6][(*level as usize).clamp(1, 6) - 1]
            }
            Start::BlockQuote(_) => Tag::Blockquote,
            Start::CodeBlock(kind) => {
                return Some(Element { lang: language(kind), ..Element::new(Tag::Pre) });
            }
            Start::List(first) => {
                let tag = if first.is_some() { Tag::Ol } else { Tag::Ul };
                return Some(Element { start: first.filter(|number| *number != 1), ..Element::new(tag) });
            }
            Start::Item => Tag::Li,
            Start::Table(columns) => {
                self.columns.clone_from(columns);
                Tag::Table
            }
            Start::TableHead | Start::TableRow => {
                self.column = 0;
                self.in_head = matches!(start, Start::TableHead);
                Tag::Tr
            }
            Start::TableCell => {
                let align = self.columns.get(self.column).and_then(|column| match column {
                    Alignment::Right => Some("right"),
                    Alignment::Center => Some("center"),
                    Alignment::Left | Alignment::None => None,
                });
                self.column += 1;
                let tag = if self.in_head { Tag::Th } else { Tag::Td };
                return Some(Element { align, ..Element::new(tag) });
            }
            Start::Emphasis => Tag::Em,
            Start::Strong => Tag::Strong,
            Start::Strikethrough => Tag::Del,
            Start::Link { dest_url, .. } | Start::Image { dest_url, .. } => {
                return is_safe(dest_url)
                    .then(|| Element { href: Some(dest_url.to_string()), ..Element::new(Tag::A) });
            }
            _ => return None,
        };
        Some(Element::new(tag))
    }

    fn siblings(&mut self) -> &mut Vec<Node> {
        self.open.last_mut().map_or(&mut self.done, |(_, children)| children)
    }

    fn text(&mut self, text: &str) {
        if let Some(Node::Text(before)) = self.siblings().last_mut() {
            before.push_str(text);
        } else {
            self.siblings().push(Node::Text(text.to_owned()));
        }
    }

    fn push(&mut self, element: Element) {
        self.elements += 1;
        self.siblings().push(Node::Element(element));
    }

    fn close(&mut self) {
        let Some((element, children)) = self.open.pop() else { return };
        match element {
            Some(element) => self.siblings().push(Node::Element(Element { children, ..element })),
            None => {
                for child in children {
                    match child {
                        Node::Text(text) => self.text(&text),
                        element => self.siblings().push(element),
                    }
                }
            }
        }
    }

    fn finish(mut self) -> Vec<Node> {
        while !self.open.is_empty() {
            self.close();
        }
        self.done
    }
}

/// The first word after a code fence, if it looks like the name of a language.
fn language(kind: &CodeBlockKind<'_>) -> Option<String> {
    let CodeBlockKind::Fenced(info) = kind else { return None };
    let word = info.split([' ', ',', '{']).next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'#' | b'-' | b'.');
    (!word.is_empty() && word.len() <= 24 && word.bytes().all(plain)).then(|| word.to_owned())
}

/// Whether links to `address` are allowed. Relative addresses are not: they would depend on where the message is shown.
fn is_safe(address: &str) -> bool {
    let starts =
        |scheme: &str| address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    (starts("http://") || starts("https://") || starts("mailto:")) && !address.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str) -> String {
        serde_json::to_string(&tree(text)).unwrap_or_default()
    }

    #[test]
    fn trees_have_the_form_that_the_page_expects() {
        for (text, expected) in [
            ("", "[]"),
            ("plain", r#"[{"tag":"p","children":["plain"]}]"#),
            ("a\nb", r#"[{"tag":"p","children":["a",{"tag":"br"},"b"]}]"#),
            (
                "**b** *i* ~~d~~ `c`",
                r#"[{"tag":"p","children":[{"tag":"strong","children":["b"]}," ",{"tag":"em","children":["i"]}," ",{"tag":"del","children":["d"]}," ",{"tag":"code","children":["c"]}]}]"#,
            ),
            ("## t", r#"[{"tag":"h2","children":["t"]}]"#),
            ("> q", r#"[{"tag":"blockquote","children":[{"tag":"p","children":["q"]}]}]"#),
            (
                "3. x\n4. y",
                r#"[{"tag":"ol","start":3,"children":[{"tag":"li","children":["x"]},{"tag":"li","children":["y"]}]}]"#,
            ),
            (
                "- [x] done",
                r#"[{"tag":"ul","children":[{"tag":"li","children":[{"tag":"input","checked":true},"done"]}]}]"#,
            ),
            (
                "```rust ignore\nlet a = 1;\n```",
                r#"[{"tag":"pre","lang":"rust","children":["let a = 1;\n"]}]"#,
            ),
            (
                "|a|b|\n|-|-:|\n|1|2|",
                r#"[{"tag":"table","children":[{"tag":"tr","children":[{"tag":"th","children":["a"]},{"tag":"th","align":"right","children":["b"]}]},{"tag":"tr","children":[{"tag":"td","children":["1"]},{"tag":"td","align":"right","children":["2"]}]}]}]"#,
            ),
            (
                "[t](https://e.test/?a=1&b=2)",
                r#"[{"tag":"p","children":[{"tag":"a","href":"https://e.test/?a=1&b=2","children":["t"]}]}]"#,
            ),
            (
                "![alt](http://e.test/x.png)",
                r#"[{"tag":"p","children":[{"tag":"a","href":"http://e.test/x.png","children":["alt"]}]}]"#,
            ),
            (":a_b: snake_case_name", r#"[{"tag":"p","children":[":a_b: snake_case_name"]}]"#),
        ] {
            assert_eq!(json(text), expected, "{text}");
        }
    }

    #[test]
    fn html_becomes_text() {
        assert_eq!(json("a <b>c</b>"), r#"[{"tag":"p","children":["a <b>c</b>"]}]"#);
        assert_eq!(
            json("<script>alert(1)</script>"),
            r#"[{"tag":"p","children":["<script>alert(1)</script>"]}]"#
        );
    }

    #[test]
    fn dangerous_links_become_text() {
        for address in [
            "javascript:alert(1)",
            "JaVaScRiPt:x",
            "data:text/html,x",
            "vbscript:x",
            "/relative",
            "//host",
            "\u{1}javascript:x",
            "file:///etc/passwd",
            "java&#10;script:x",
        ] {
            let text = json(&format!("[t](<{address}>) ![i](<{address}>) <{address}>"));
            assert!(!text.contains("\"href\""), "{address}: {text}");
        }
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let deep = tree(&format!("{}x", "> ".repeat(5_000)));
        assert!(depth(&deep) <= DEEPEST + 1, "{}", depth(&deep));
        assert_eq!(tree(&"*a* ".repeat(MOST)).len(), 1);
        assert_eq!(tree(&"*a* ".repeat(20_000)).len(), 1);
    }

    fn depth(nodes: &[Node]) -> usize {
        nodes
            .iter()
            .map(|node| match node {
                Node::Text(_) => 1,
                Node::Element(element) => 1 + depth(&element.children),
            })
            .max()
            .unwrap_or(0)
    }

    fn every(nodes: &[Node], check: &mut impl FnMut(&Element)) {
        for node in nodes {
            if let Node::Element(element) = node {
                check(element);
                every(&element.children, check);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// The type of a tag allows only the listed elements. This checks the links, and that parsing ends.
        #[test]
        fn no_tree_holds_a_link_to_anything_but_the_web(
            parts in proptest::collection::vec(prop_oneof![
                "\\PC{0,12}", Just("[a](".into()), Just(")".into()), Just("<".into()), Just(">".into()),
                Just("javascript:alert(1)".into()), Just("![".into()), Just("](".into()), Just("\n".into()),
                Just("[x]: javascript:y\n\n[x]".into()), Just("<img src=x onerror=y>".into()), Just("**".into()),
                Just("`".into()), Just("| a |\n|-|\n".into()), Just("https://e.test".into()), Just("&#106;avascript:".into()),
            ], 0..24)
        ) {
            let text: String = parts.concat();
            let nodes = tree(&text);
            prop_assert!(depth(&nodes) <= DEEPEST + 1);
            let mut links = Vec::new();
            every(&nodes, &mut |element| links.extend(element.href.clone()));
            for link in links {
                let lower = link.to_ascii_lowercase();
                prop_assert!(
                    ["http://", "https://", "mailto:"].iter().any(|scheme| lower.starts_with(scheme)),
                    "{} -> {}", text, link
                );
            }
        }
    }
}
