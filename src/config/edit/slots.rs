//! The rules of a destination as slots in a text: what is in them changes, what is between them stays.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::document::SourceFile;
use super::super::format::Format;
use super::EditedRule;
use super::quote::quote;
use super::site::{self, Form, Item, Site};
use crate::engine::Rule;

/// The text with these rules for a destination.
///
/// # Errors
/// What is in the way.
pub(super) fn edit(format: Format, text: &str, at: usize, rules: &[EditedRule]) -> Result<String, String> {
    let source = Arc::new(SourceFile::new(PathBuf::new(), text.to_owned()));
    let root = format.parse(&source).map_err(|problem| problem.to_string())?;
    let site = site::find(format, text, &root, at)?;
    let file = File { format, text, newline: if text.contains("\r\n") { "\r\n" } else { "\n" } };
    let after = match site {
        Site::Rules(form, items) => {
            let kept = items.iter().enumerate().all(|(at, item)| {
                rules.get(at).is_some_and(|edited| edited.origin == Some(at) && file.says(item, &edited.rule))
            });
            if kept && rules.len() == items.len() {
                return Ok(text.to_owned());
            }
            match form {
                Form::Lines => file.lines(&items, None, rules)?,
                Form::Brackets(span) if file.stand_alone(&items) => file.lines(&items, Some(&span), rules)?,
                Form::Brackets(span) => file.brackets(&items, &span, rules),
            }
        }
        _ if rules.is_empty() => text.to_owned(),
        Site::Nothing(span) => file.first(&span, rules),
        Site::Missing { end, first_key, in_braces, header } => {
            file.all_new(end, first_key, in_braces, &header, rules)?
        }
    };
    Ok(after)
}

struct File<'a> {
    format: Format,
    text: &'a str,
    newline: &'static str,
}

/// A rule on lines of its own, in pieces.
struct Slot {
    /// Comment lines above it.
    lead: String,
    /// What stands before the rule on its first line.
    before: String,
    item: String,
    /// What stands behind it on its last line: a comment, the end of the line.
    after: String,
}

impl File<'_> {
    /// The start of the line a byte is on.
    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// The byte behind the line a byte is on.
    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// What stands before a byte on its line, as far as it is space.
    fn indent(&self, at: usize) -> &str {
        let line = &self.text[self.line_start(at)..];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    fn is_comment(&self, line: &str) -> bool {
        let line = line.trim_start();
        line.starts_with('#') || (self.format == Format::Hcl && line.starts_with("//"))
    }

    /// Whether an item says this already.
    fn says(&self, item: &Item, rule: &Rule) -> bool {
        let texts = [&rule.name, &rule.from, &rule.to];
        item.values.iter().zip(texts).all(|(span, text)| self.value(span).as_deref() == Some(text))
    }

    /// What a value says, read back by the parser of its format.
    fn value(&self, span: &Range<usize>) -> Option<String> {
        let written = self.text.get(span.clone())?;
        let text = match self.format {
            Format::Json => return serde_json::from_str(written).ok(),
            Format::Toml | Format::Hcl => format!("x = {written}\n"),
            // a block scalar's lines are indented as they stand
            Format::Yaml => format!("x: {written}\n"),
        };
        let source = Arc::new(SourceFile::new(PathBuf::new(), text));
        let root = self.format.parse(&source).ok()?;
        root.get("x")?.as_text().map(str::to_owned)
    }

    /// An item with other values; what they are unchanged stays as it is written.
    fn with_values(&self, item: &Item, rule: &Rule) -> String {
        let mut written = self.text[item.span.clone()].to_owned();
        let mut values: Vec<_> = item.values.iter().zip([&rule.name, &rule.from, &rule.to]).collect();
        values.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        for (span, text) in values {
            if self.value(span).as_deref() != Some(text) {
                let place = span.start - item.span.start..span.end - item.span.start;
                let old = &self.text[span.clone()];
                written.replace_range(place, &quote(self.format, text, Some(old)));
            }
        }
        written
    }

    /// An item that shows how rules are written here; one without comments, for they are about that rule.
    fn pattern<'i>(&self, items: &'i [Item]) -> Option<&'i Item> {
        items.iter().rev().find(|item| {
            let mut bare = self.text[item.span.clone()].to_owned();
            let mut values: Vec<_> = item.values.iter().collect();
            values.sort_by_key(|span| std::cmp::Reverse(span.start));
            for span in values {
                bare.replace_range(span.start - item.span.start..span.end - item.span.start, "");
            }
            !bare.contains('#') && !bare.contains("//")
        })
    }

    /// Whether each item is alone on its lines.
    fn stand_alone(&self, items: &[Item]) -> bool {
        items.iter().all(|item| {
            let before = &self.text[self.line_start(item.span.start)..item.span.start];
            let after = self.text[item.span.end..self.line_end(item.span.end)].trim_start();
            let after = after.strip_prefix(',').unwrap_or(after);
            before.trim().is_empty() && (after.trim().is_empty() || self.is_comment(after))
        })
    }

    /// The rules on lines of their own; between brackets they have commas.
    fn lines(&self, items: &[Item], brackets: Option<&Range<usize>>, rules: &[EditedRule]) -> Result<String, String> {
        if !self.stand_alone(items) {
            return Err("a rule shares its line with something else".to_owned());
        }
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by_key(|at| items[*at].span.start);
        let mut gaps: Vec<String> = Vec::new();
        let mut slots: Vec<Option<Slot>> = items.iter().map(|_| None).collect();
        let mut last_comma = false;
        let mut read = brackets.map_or(0, |span| span.start + 1);
        let mut gap_start = 0;
        for &at in &order {
            let item = &items[at];
            let start = self.line_start(item.span.start);
            let end = self.line_end(item.span.end);
            let lead = self.lead_start(start, read.max(gap_start));
            gaps.push(self.text[gap_start..lead].to_owned());
            let rest = &self.text[item.span.end..end];
            let comma = brackets.is_some() && rest.trim_start().starts_with(',');
            let after = if comma { rest.replacen(',', "", 1) } else { rest.to_owned() };
            last_comma = comma;
            slots[at] = Some(Slot {
                lead: self.text[lead..start].to_owned(),
                before: self.text[start..item.span.start].to_owned(),
                item: String::new(),
                after,
            });
            gap_start = end;
            read = end;
        }
        let tail = &self.text[gap_start..];
        let mut filled = self.fill(items, slots, rules);
        let left_over = filled.pop().map(|slot| slot.lead).unwrap_or_default();
        let mut text = String::new();
        let between = gaps.get(1).cloned().filter(|gap| gap.trim().is_empty()).unwrap_or_else(|| {
            if self.format == Format::Toml && brackets.is_none() { self.newline.to_owned() } else { String::new() }
        });
        let count = filled.len();
        for (at, slot) in filled.into_iter().enumerate() {
            match gaps.get(at) {
                Some(gap) => text.push_str(gap),
                None => text.push_str(&between),
            }
            self.end_line(&mut text);
            text.push_str(&slot.lead);
            text.push_str(&slot.before);
            text.push_str(&slot.item);
            if brackets.is_some() && (at + 1 < count || last_comma) {
                text.push(',');
            }
            text.push_str(&slot.after);
        }
        for (at, gap) in gaps.iter().enumerate().skip(count) {
            // the empty lines between rules go with them, but not what else stands there
            if at == 0 && brackets.is_none() {
                text.push_str(gap.trim_end_matches(['\n', '\r', ' ', '\t']));
                self.end_line(&mut text);
                if gap.trim().is_empty() {
                    text.clear();
                }
            } else if at == 0 || !gap.trim().is_empty() {
                text.push_str(gap);
            }
        }
        if !left_over.is_empty() {
            self.end_line(&mut text);
            text.push_str(&left_over);
        }
        if !tail.is_empty() {
            self.end_line(&mut text);
        }
        text.push_str(tail);
        if !self.text.ends_with('\n') && text.ends_with('\n') {
            text.truncate(text.trim_end_matches(['\n', '\r']).len());
        }
        Ok(text)
    }

    /// Goes on with a new line.
    fn end_line(&self, text: &mut String) {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push_str(self.newline);
        }
    }

    /// Where the comment lines above a line begin; not before `floor`.
    fn lead_start(&self, start: usize, floor: usize) -> usize {
        let mut lead = start;
        while lead > floor {
            let above = self.line_start(lead - 1);
            if above < floor || !self.is_comment(&self.text[above..lead]) {
                break;
            }
            lead = above;
        }
        lead
    }

    /// The slots in their new order; the last one has but the comments that no rule is left for.
    fn fill(&self, items: &[Item], mut slots: Vec<Option<Slot>>, rules: &[EditedRule]) -> Vec<Slot> {
        let pattern = self.pattern(items);
        let end = self.newline.to_owned();
        let first = &items[0];
        let indent = self.indent(first.span.start).to_owned();
        let used: BTreeSet<usize> = rules.iter().filter_map(|edited| edited.origin).collect();
        let mut leads: Vec<String> = vec![String::new(); items.len() + 1];
        for at in (0..items.len()).filter(|at| !used.contains(at)) {
            let heir = (at + 1..items.len()).find(|other| used.contains(other)).unwrap_or(items.len());
            if let Some(slot) = &slots[at] {
                leads[heir].push_str(&slot.lead);
            }
        }
        let mut filled: Vec<Slot> = Vec::with_capacity(rules.len() + 1);
        for edited in rules {
            let known = edited.origin.and_then(|at| Some((at, slots.get_mut(at)?.take()?)));
            filled.push(match known {
                Some((at, slot)) => Slot {
                    lead: std::mem::take(&mut leads[at]) + &slot.lead,
                    item: self.with_values(&items[at], &edited.rule),
                    after: if slot.after.ends_with('\n') { slot.after } else { slot.after + &end },
                    ..slot
                },
                None => Slot {
                    lead: String::new(),
                    before: indent.clone(),
                    item: match pattern {
                        Some(item) => self.with_values(item, &edited.rule),
                        None => self.plain_item(&edited.rule, &indent, &self.text[first.span.clone()]),
                    },
                    after: end.clone(),
                },
            });
        }
        let lead = std::mem::take(&mut leads[items.len()]);
        filled.push(Slot { lead, before: String::new(), item: String::new(), after: String::new() });
        filled
    }

    /// A rule as vsync itself would write it; `like` is another one of the file.
    fn plain_item(&self, rule: &Rule, indent: &str, like: &str) -> String {
        let newline = self.newline;
        let value = |text: &str| quote(self.format, text, None);
        let (name, from, to) = (value(&rule.name), value(&rule.from), value(&rule.to));
        match self.format {
            _ if like.starts_with('{') => self.inline(rule),
            Format::Toml => {
                let header = like.lines().next().unwrap_or_default();
                let header = header.split_once("]]").map_or(header, |(name, _)| name);
                format!(
                    "{header}]]{newline}{indent}name = {name}{newline}{indent}from = {from}{newline}{indent}to = {to}"
                )
            }
            Format::Hcl => {
                let inner = format!("{indent}  ");
                format!(
                    "transforms {{{newline}{inner}name = {name}{newline}{inner}from = {from}{newline}{inner}to   = {to}{newline}{indent}}}"
                )
            }
            Format::Yaml => format!("- name: {name}{newline}{indent}  from: {from}{newline}{indent}  to: {to}"),
            Format::Json => self.inline(rule),
        }
    }

    /// A rule in braces.
    fn inline(&self, rule: &Rule) -> String {
        let value = |text: &str| match self.format {
            // a plain text between braces could end too early
            Format::Yaml => quote(self.format, text, Some("'")),
            _ => quote(self.format, text, None),
        };
        let (name, from, to) = (value(&rule.name), value(&rule.from), value(&rule.to));
        match self.format {
            Format::Json => format!("{{\"name\": {name}, \"from\": {from}, \"to\": {to}}}"),
            Format::Yaml => format!("{{name: {name}, from: {from}, to: {to}}}"),
            Format::Toml | Format::Hcl => format!("{{ name = {name}, from = {from}, to = {to} }}"),
        }
    }

    /// The rules between brackets, several on a line.
    fn brackets(&self, items: &[Item], span: &Range<usize>, rules: &[EditedRule]) -> String {
        let pattern = self.pattern(items);
        let open = &self.text[span.start..items[0].span.start];
        let separators: Vec<&str> =
            items.windows(2).map(|pair| &self.text[pair[0].span.end..pair[1].span.start]).collect();
        let close = &self.text[items[items.len() - 1].span.end..span.end];
        let mut used = BTreeSet::new();
        let mut written = open.to_owned();
        for (at, edited) in rules.iter().enumerate() {
            if at > 0 {
                let plain = separators.iter().find(|separator| !separator.contains(['#', '/'])).copied();
                written.push_str(separators.get(at - 1).copied().or(plain).unwrap_or(", "));
            }
            let known = edited.origin.filter(|origin| *origin < items.len() && used.insert(*origin));
            written.push_str(&match (known.map(|origin| &items[origin]).or(pattern), &edited.rule) {
                (Some(item), rule) => self.with_values(item, rule),
                (None, rule) => self.inline(rule),
            });
        }
        for separator in separators.iter().skip(rules.len().saturating_sub(1)) {
            if self.format != Format::Json && separator.contains(['#', '/']) {
                written.push_str(&separator.replacen(',', "", 1));
            }
        }
        // without a rule a comma would stand alone
        written.push_str(&if rules.is_empty() { close.replacen(',', "", 1) } else { close.to_owned() });
        format!("{}{written}{}", &self.text[..span.start], &self.text[span.end..])
    }

    /// A list between brackets, one rule on a line.
    fn list(&self, rules: &[EditedRule], indent: &str) -> String {
        let newline = self.newline;
        let unit = self.unit();
        let items: Vec<String> =
            rules.iter().map(|edited| format!("{indent}{unit}{}", self.inline(&edited.rule))).collect();
        format!("[{newline}{}{newline}{indent}]", items.join(&format!(",{newline}")))
    }

    /// By how much the file indents.
    fn unit(&self) -> &str {
        let mut lines = self.text.lines().map(|line| &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]);
        let first = lines.find(|indent| !indent.is_empty());
        first.filter(|indent| indent.len() <= 8).unwrap_or("  ")
    }

    /// The first rules behind a key that holds none.
    fn first(&self, span: &Range<usize>, rules: &[EditedRule]) -> String {
        let key_indent = self.indent(span.start);
        let (before, after) = (&self.text[..span.start], &self.text[span.end..]);
        let in_block = self.format == Format::Yaml && !self.is_inside_braces(span.start);
        if !in_block {
            let list = self.list(rules, key_indent);
            let gap = if before.ends_with(':') { " " } else { "" };
            return format!("{before}{gap}{list}{after}");
        }
        // the keys of an entry stand behind its dash
        let line = &self.text[self.line_start(span.start)..span.start];
        let dashes = line.len() - line.trim_start_matches([' ', '\t', '-']).len();
        let indent = format!("{}{}", " ".repeat(dashes), self.unit_spaces());
        let line_end = self.line_end(span.end);
        let mut text = format!("{}{}", before.trim_end_matches([' ', '\t']), &self.text[span.end..line_end]);
        self.end_line(&mut text);
        text.push_str(&self.entries(rules, &indent));
        text + &self.text[line_end..]
    }

    fn unit_spaces(&self) -> &str {
        Some(self.unit()).filter(|unit| !unit.contains('\t')).unwrap_or("  ")
    }

    fn entries(&self, rules: &[EditedRule], indent: &str) -> String {
        let items =
            rules.iter().map(|edited| format!("{indent}{}{}", self.plain_item(&edited.rule, indent, ""), self.newline));
        items.collect()
    }

    /// Whether a place of a YAML file lies between braces: some before it on its line are not closed.
    fn is_inside_braces(&self, at: usize) -> bool {
        let line = &self.text[self.line_start(at)..at];
        line.matches(['{', '[']).count() > line.matches(['}', ']']).count()
    }

    /// The rules of a destination that has none, at its end.
    fn all_new(
        &self,
        end: usize,
        first_key: Option<usize>,
        in_braces: bool,
        header: &str,
        rules: &[EditedRule],
    ) -> Result<String, String> {
        let newline = self.newline;
        if in_braces || self.format == Format::Json {
            return Ok(self.between_braces(end, first_key, rules));
        }
        match self.format {
            Format::Hcl => {
                let closing = self.line_start(end);
                if !self.text[closing..end].trim().is_empty() {
                    return Err("the destination is on one line".to_owned());
                }
                let indent = format!("{}{}", self.indent(end), self.unit());
                let items = rules
                    .iter()
                    .map(|edited| format!("{indent}{}{newline}", self.plain_item(&edited.rule, &indent, "")));
                Ok(format!("{}{}{}", &self.text[..closing], items.collect::<String>(), &self.text[closing..]))
            }
            Format::Toml => {
                let name = header.trim_matches(['[', ']', ' ', '\t']);
                if name.is_empty() || !header.starts_with('[') {
                    return Err("the destination has no header that a table of rules could follow".to_owned());
                }
                let line_end = self.line_end(end);
                let indent = first_key.map_or("", |key| self.indent(key));
                let mut text = self.text[..line_end].to_owned();
                for edited in rules {
                    self.end_line(&mut text);
                    text.push_str(newline);
                    let like = format!("[[{name}.transforms]]");
                    text.push_str(indent);
                    text.push_str(&self.plain_item(&edited.rule, indent, &like));
                    text.push_str(newline);
                }
                Ok(text + &self.text[line_end..])
            }
            _ => {
                let key = first_key.ok_or("the destination has no keys")?;
                let dashes = key - self.line_start(key);
                let indent = " ".repeat(dashes);
                let line_end = self.line_end(end);
                let mut text = self.text[..line_end].to_owned();
                self.end_line(&mut text);
                let inner = format!("{indent}{}", self.unit_spaces());
                Ok(format!(
                    "{text}{indent}transforms:{newline}{}{}",
                    self.entries(rules, &inner),
                    &self.text[line_end..]
                ))
            }
        }
    }

    /// The rules as one more key in braces, behind the last one.
    fn between_braces(&self, end: usize, first_key: Option<usize>, rules: &[EditedRule]) -> String {
        let newline = self.newline;
        let key = if self.format == Format::Json { "\"transforms\": " } else { "transforms: " };
        let key = if matches!(self.format, Format::Toml | Format::Hcl) { "transforms = " } else { key };
        let closing = end - usize::from(self.text[..end].ends_with('}'));
        let last = self.text[..closing].trim_end();
        let comma = if last.ends_with([',', '{']) { "" } else { "," };
        let own_line = first_key.is_some_and(|key| self.text[self.line_start(key)..key].trim().is_empty());
        if own_line && !matches!(self.format, Format::Toml | Format::Hcl) {
            let indent = first_key.map_or("", |key| self.indent(key));
            let written = self.list(rules, indent);
            let rest = &self.text[last.len()..];
            return format!("{last}{comma}{newline}{indent}{key}{written}{rest}");
        }
        let items: Vec<String> = rules.iter().map(|edited| self.inline(&edited.rule)).collect();
        format!("{last}{comma} {key}[{}]{}", items.join(", "), &self.text[last.len()..])
    }
}
