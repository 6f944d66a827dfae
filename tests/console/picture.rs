//! A screen as an SVG picture: what a terminal shows, on its grid, for README and the pages about the screens.

use std::fmt::Write;

use vt100::{Cell, Color, Screen};

/// A cell, in the picture's units.
const WIDTH: u16 = 8;
const HEIGHT: u16 = 18;
/// The height of letters, chosen so that a monospaced one is about as wide as a cell.
const FONT: u16 = 13;
/// Where letters stand in a cell, from its top.
const BASELINE: u16 = 13;
/// Around the screen.
const MARGIN: u16 = 10;

/// The terminal's own colours where the console asks for none.
const FOREGROUND: &str = "#d0d4da";
const BACKGROUND: &str = "#16181d";

/// The first sixteen colours, as xterm has them.
const SIXTEEN: [&str; 16] = [
    "#000000", "#cd0000", "#00cd00", "#cdcd00", "#0000ee", "#cd00cd", "#00cdcd", "#e5e5e5", "#7f7f7f", "#ff0000",
    "#00ff00", "#ffff00", "#5c5cff", "#ff00ff", "#00ffff", "#ffffff",
];

/// Draws a screen. `title` is what is read out to whoever does not see it.
pub(crate) fn svg(screen: &Screen, title: &str) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let (width, height) = (columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN);
    let (title, mut backs, mut lines, mut texts) = (escaped(title), String::new(), String::new(), String::new());
    for row in 0..rows {
        for run in runs(screen, row, columns) {
            let (x, y) = (run.column * WIDTH, row * HEIGHT);
            let wide = run.columns * WIDTH;
            if run.look.back != BACKGROUND {
                let back = &run.look.back;
                let _ = writeln!(backs, r#"<rect x="{x}" y="{y}" width="{wide}" height="{HEIGHT}" fill="{back}"/>"#);
            }
            if let Some(shape) = shape(&run.text) {
                let color = &run.look.front;
                for column in 0..run.columns {
                    let _ = writeln!(lines, "{}", shape.at(x + column * WIDTH, y, color));
                }
            } else {
                let front = &run.look.front;
                let weight = if run.look.bold { r#" font-weight="bold""# } else { "" };
                for piece in pieces(&run) {
                    let (x, y) = (piece.column * WIDTH, y + BASELINE);
                    let (wide, text) = (piece.columns * WIDTH, escaped(&piece.text));
                    let _ = writeln!(
                        texts,
                        r#"<text x="{x}" y="{y}" textLength="{wide}" fill="{front}"{weight}>{text}</text>"#
                    );
                }
            }
        }
    }
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}">
<title>{title}</title>
<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>
<g transform="translate({MARGIN} {MARGIN})" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="{FONT}">
<g shape-rendering="crispEdges">
{backs}</g>
<g fill="none">
{lines}</g>
{texts}</g>
</svg>
"#
    )
}

/// Cells side by side that look the same.
struct Run {
    column: u16,
    columns: u16,
    text: String,
    look: Look,
}

/// A part of a run's text, with no more than one space in a row: readers of SVG do not agree on several.
struct Piece {
    column: u16,
    columns: u16,
    text: String,
}

fn pieces(run: &Run) -> Vec<Piece> {
    if !run.text.is_ascii() {
        return vec![Piece { column: run.column, columns: run.columns, text: run.text.clone() }];
    }
    let mut column = run.column;
    let mut pieces: Vec<Piece> = Vec::new();
    for word in run.text.split(' ') {
        let columns = u16::try_from(word.len()).unwrap_or(0);
        match pieces.last_mut().filter(|piece| piece.column + piece.columns + 1 == column) {
            _ if word.is_empty() => {}
            Some(piece) => {
                piece.columns += 1 + columns;
                piece.text = format!("{} {word}", piece.text);
            }
            None => pieces.push(Piece { column, columns, text: word.to_owned() }),
        }
        column += columns + 1;
    }
    pieces
}

#[derive(PartialEq, Eq)]
struct Look {
    front: String,
    back: String,
    bold: bool,
}

impl Look {
    fn of(cell: &Cell) -> Self {
        let (front, back) = (color(cell.fgcolor(), FOREGROUND), color(cell.bgcolor(), BACKGROUND));
        let (front, back) = if cell.inverse() { (back, front) } else { (front, back) };
        Self { front, back, bold: cell.bold() }
    }
}

/// A row, cut wherever the look changes, and around everything that is drawn as a shape or could be wider or narrower
/// than a cell in whatever font the reader has.
fn runs(screen: &Screen, row: u16, columns: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column).filter(|cell| !cell.is_wide_continuation()) else {
            if let Some(run) = runs.last_mut() {
                run.columns += 1;
            }
            continue;
        };
        let text = if cell.has_contents() { cell.contents() } else { " " };
        let look = Look::of(cell);
        let goes_on = |run: &Run| {
            run.look == look && (run.text.is_ascii() && text.is_ascii() || shape(text).is_some() && run.text == text)
        };
        match runs.last_mut().filter(|run| goes_on(run)) {
            Some(run) if run.text.is_ascii() => {
                run.columns += 1;
                run.text.push_str(text);
            }
            Some(run) => run.columns += 1,
            None => runs.push(Run { column, columns: 1, text: text.to_owned(), look }),
        }
    }
    runs
}

/// What is drawn instead of written, because fonts leave gaps in it.
enum Shape {
    /// Strokes, from the middle of the cell's left edge and so on.
    Strokes(&'static str, u16),
    /// So many eighths of the cell, from below.
    Eighths(u16),
}

impl Shape {
    fn at(&self, x: u16, y: u16, color: &str) -> String {
        match self {
            Self::Strokes(path, width) => {
                format!(r#"<path transform="translate({x} {y})" d="{path}" stroke="{color}" stroke-width="{width}"/>"#)
            }
            Self::Eighths(eighths) => {
                let height = f32::from(HEIGHT) * f32::from(*eighths) / 8.0;
                let top = f32::from(y + HEIGHT) - height;
                format!(r#"<rect x="{x}" y="{top}" width="{WIDTH}" height="{height}" fill="{color}"/>"#)
            }
        }
    }
}

fn shape(text: &str) -> Option<Shape> {
    // in a cell of 8 by 18
    Some(match text {
        "─" => Shape::Strokes("M0 9H8", 1),
        "━" => Shape::Strokes("M0 9H8", 3),
        "│" => Shape::Strokes("M4 0V18", 1),
        "├" => Shape::Strokes("M4 0V18M4 9H8", 1),
        "┤" => Shape::Strokes("M4 0V18M0 9H4", 1),
        "╭" => Shape::Strokes("M4 18V13Q4 9 8 9", 1),
        "╮" => Shape::Strokes("M4 18V13Q4 9 0 9", 1),
        "╰" => Shape::Strokes("M4 0V5Q4 9 8 9", 1),
        "╯" => Shape::Strokes("M4 0V5Q4 9 0 9", 1),
        "▁" => Shape::Eighths(1),
        "▂" => Shape::Eighths(2),
        "▃" => Shape::Eighths(3),
        "▄" => Shape::Eighths(4),
        "▅" => Shape::Eighths(5),
        "▆" => Shape::Eighths(6),
        "▇" => Shape::Eighths(7),
        "█" => Shape::Eighths(8),
        _ => return None,
    })
}

fn color(color: Color, default: &str) -> String {
    match color {
        Color::Default => default.to_owned(),
        Color::Idx(index) => SIXTEEN.get(usize::from(index)).copied().unwrap_or(default).to_owned(),
        Color::Rgb(red, green, blue) => format!("#{red:02x}{green:02x}{blue:02x}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
