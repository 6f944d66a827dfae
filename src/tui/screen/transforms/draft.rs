//! One destination's rules as they are being edited.

use crate::config::EditedRule;
use crate::engine::{Rule, RulePart, RuleProblem, Transforms};
use crate::kv::Mount;
use crate::tui::widget::scroll::Scroll;

/// How many steps can be taken back.
const STEPS: usize = 200;

/// A rule of the draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) struct Row {
    pub(in crate::tui) rule: Rule,
    /// Which one it is in the configuration file; `None`: none of them.
    pub(in crate::tui) origin: Option<usize>,
    /// What keeps it from working.
    pub(in crate::tui) problems: Vec<RuleProblem>,
}

impl Row {
    fn new(rule: Rule, origin: Option<usize>) -> Self {
        Self { problems: rule.problems(), rule, origin }
    }

    /// As the file takes it.
    pub(in crate::tui) fn edited(&self) -> EditedRule {
        EditedRule { rule: self.rule.clone(), origin: self.origin }
    }

    pub(super) fn text(&self, part: RulePart) -> &str {
        match part {
            RulePart::Name => &self.rule.name,
            RulePart::From => &self.rule.from,
            RulePart::To => &self.rule.to,
        }
    }

    pub(super) fn problem(&self, part: RulePart) -> Option<&RuleProblem> {
        self.problems.iter().find(|problem| problem.part == part)
    }
}

/// One destination's rules.
#[derive(Debug)]
pub(in crate::tui) struct Draft {
    /// The destination's mounts, where a rule's paths must lie.
    pub(super) mounts: Vec<Mount>,
    /// The rules in force.
    pub(super) in_force: Vec<Rule>,
    /// They were not written to the file, only taken over by the running console.
    pub(super) session_only: bool,
    rows: Vec<Row>,
    undo: Vec<Vec<Row>>,
    redo: Vec<Vec<Row>>,
    /// The rows that work, compiled, and their places.
    compiled: (Transforms, Vec<usize>),
    /// The row the cursor is on; the last one stands for what no rule matches.
    pub(super) scroll: Scroll,
}

impl Draft {
    pub(super) fn new(rules: Vec<Rule>, mounts: Vec<Mount>) -> Self {
        let rows = rules.iter().cloned().zip(0..).map(|(rule, at)| Row::new(rule, Some(at))).collect();
        let mut draft = Self {
            mounts,
            in_force: rules,
            session_only: false,
            rows,
            undo: Vec::new(),
            redo: Vec::new(),
            compiled: (Transforms::default(), Vec::new()),
            scroll: Scroll::default(),
        };
        draft.compile();
        draft
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn rules(&self) -> Vec<Rule> {
        self.rows.iter().map(|row| row.rule.clone()).collect()
    }

    /// The rule the cursor is on, if it is on one.
    pub(super) fn cursor(&self) -> Option<usize> {
        Some(self.scroll.row()).filter(|row| *row < self.rows.len())
    }

    /// Whether it differs from the rules in force.
    pub(super) fn is_changed(&self) -> bool {
        !self.rows.iter().map(|row| &row.rule).eq(&self.in_force)
    }

    /// How a row differs from the rules in force: `+` new, `*` changed.
    pub(super) fn standing(&self, row: &Row) -> RowStanding {
        if !row.problems.is_empty() {
            return RowStanding::Broken;
        }
        match row.origin {
            _ if self.in_force.contains(&row.rule) => RowStanding::Same,
            None => RowStanding::New,
            Some(_) => RowStanding::Changed,
        }
    }

    /// The first rule that does not work.
    pub(super) fn broken(&self) -> Option<(usize, &RuleProblem)> {
        self.rows.iter().enumerate().find_map(|(at, row)| Some((at, row.problems.first()?)))
    }

    /// Where a path goes and by which rule; rules that do not work are passed over.
    pub(super) fn way(&self, data_path: &str) -> Option<(usize, crate::engine::Explained)> {
        let (transforms, places) = &self.compiled;
        places.iter().enumerate().find_map(|(at, place)| Some((*place, transforms.explain(at, data_path)?)))
    }

    /// Types into a rule. No step of its own: [`Draft::remember`] makes one of what was typed at a time.
    pub(super) fn set(&mut self, at: usize, part: RulePart, text: String) {
        let Some(row) = self.rows.get_mut(at) else { return };
        match part {
            RulePart::Name => row.rule.name = text,
            RulePart::From => row.rule.from = text,
            RulePart::To => row.rule.to = text,
        }
        row.problems = row.rule.problems();
        self.compile();
    }

    /// Makes what has changed since `before` a step that can be taken back.
    pub(super) fn remember(&mut self, before: Vec<Row>) {
        if before != self.rows {
            self.undo.push(before);
            if self.undo.len() > STEPS {
                self.undo.remove(0);
            }
            self.redo.clear();
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<Row>)) {
        let before = self.rows.clone();
        change(&mut self.rows);
        self.remember(before);
        self.compile();
    }

    /// A new rule below the cursor; the cursor goes there.
    pub(super) fn add(&mut self) {
        let at = self.cursor().map_or(self.rows.len(), |row| row + 1);
        let is_free = |number: &usize| !self.rows.iter().any(|row| row.rule.name == format!("rule {number}"));
        let number = (1..=self.rows.len()).find(is_free);
        let name = format!("rule {}", number.unwrap_or(self.rows.len() + 1));
        let row = Row::new(Rule { name, from: String::new(), to: String::new() }, None);
        self.change(|rows| rows.insert(at, row));
        self.scroll.select(at);
    }

    /// A copy of the rule under the cursor, below it; the cursor goes there.
    pub(super) fn duplicate(&mut self) -> bool {
        let Some(at) = self.cursor() else { return false };
        let mut rule = self.rows[at].rule.clone();
        rule.name = format!("{} copy", rule.name);
        self.change(|rows| rows.insert(at + 1, Row::new(rule, None)));
        self.scroll.select(at + 1);
        true
    }

    /// Takes the rule under the cursor away; returns its name.
    pub(super) fn delete(&mut self) -> Option<String> {
        let at = self.cursor()?;
        let name = self.rows[at].rule.name.clone();
        self.change(|rows| {
            rows.remove(at);
        });
        Some(name)
    }

    /// Moves the rule under the cursor, and the cursor with it.
    pub(super) fn shift(&mut self, down: bool) {
        let Some(at) = self.cursor() else { return };
        let to = if down { at + 1 } else { at.wrapping_sub(1) };
        if to < self.rows.len() {
            self.change(|rows| rows.swap(at, to));
            self.scroll.select(to);
        }
    }

    pub(super) fn undo(&mut self) -> bool {
        let Some(before) = self.undo.pop() else { return false };
        self.redo.push(std::mem::replace(&mut self.rows, before));
        self.compile();
        true
    }

    pub(super) fn redo(&mut self) -> bool {
        let Some(after) = self.redo.pop() else { return false };
        self.undo.push(std::mem::replace(&mut self.rows, after));
        self.compile();
        true
    }

    /// Back to the rules in force, as a step that can be taken back itself.
    pub(super) fn discard(&mut self) {
        let known: Vec<Row> = self.rows.iter().chain(self.undo.iter().flatten()).cloned().collect();
        let origin = |rule: &Rule| known.iter().find(|row| row.rule == *rule).and_then(|row| row.origin);
        let rows = self.in_force.iter().map(|rule| Row::new(rule.clone(), origin(rule))).collect();
        self.change(|old| *old = rows);
    }

    /// These rows are in force now, and in the file, unless it is for this session only.
    pub(super) fn adopt(&mut self, saved: &[Row], session_only: bool) {
        self.in_force = saved.iter().map(|row| row.rule.clone()).collect();
        self.session_only = session_only;
        if session_only {
            return;
        }
        // the file has them at other places now, and what was taken back may come again
        let place = |row: &Row| {
            let known = |other: &Row| other.origin.is_some() && other.origin == row.origin;
            saved.iter().position(known).or_else(|| saved.iter().position(|other| other.rule == row.rule))
        };
        let steps = self.undo.iter_mut().chain(&mut self.redo).chain(std::iter::once(&mut self.rows));
        for row in steps.flatten() {
            row.origin = place(row);
        }
    }

    fn compile(&mut self) {
        let works = self.rows.iter().enumerate().filter(|(_, row)| row.problems.is_empty());
        let (places, rules): (Vec<usize>, Vec<Rule>) = works.map(|(at, row)| (at, row.rule.clone())).unzip();
        self.compiled = (Transforms::new(&rules).unwrap_or_default(), places);
    }
}

/// How a row of the draft stands to the rules in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowStanding {
    Same,
    New,
    Changed,
    Broken,
}
