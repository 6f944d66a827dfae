//! One page that needs nothing else: no script, no font, no picture from anywhere.

use std::fmt::{self, Display, Write as _};

use jiff::Timestamp;

use crate::engine::{Cause, DestinationName, Failure, Operation, Report};
use crate::text::sanitize;

/// Nothing is loaded from anywhere, and nothing runs, whatever a name tries.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--muted:#777;--bad:#c0362c;--good:#2e7d32;--warn:#a15c00}\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1.5rem}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1.5rem 0 .25rem}\
p{margin:.25rem 0}.muted{color:var(--muted)}.bad{color:var(--bad)}.good{color:var(--good)}.warn{color:var(--warn)}\
table{border-collapse:collapse;width:100%;margin:.5rem 0}\
th,td{border-bottom:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top}\
th{font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tfoot td{font-weight:600}\
code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.5rem;margin:1rem 0}dt{color:var(--muted)}dd{margin:0}\
@media print{:root{color-scheme:light}body{margin:0;max-width:none;font-size:10pt}thead{display:table-header-group}\
tr{break-inside:avoid}h2,h3{break-after:avoid}}";

/// A text as it may stand in a page, in an element or in a quoted attribute; nothing in it hides or turns the rest.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in sanitize(self.0).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

pub(super) fn render(report: &Report) -> String {
    let mut page = String::new();
    // writing to a String cannot fail
    let _ = write(report, &mut page);
    page
}

fn write(report: &Report, page: &mut String) -> fmt::Result {
    let what = if report.dry_run { "dry run" } else { report.purpose() };
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>vsync: {} of {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>vsync: {}, <span class=\"{}\">{}</span></h1>\n<p class=\"muted\">cycle <code>{}</code></p>\n",
        Text(what),
        time(report.started),
        Text(what),
        if report.failed() + report.pending() > 0 { "bad" } else { "good" },
        report.ending.as_str(),
        report.cycle,
    )?;
    summary(report, page)?;
    troubles(report, page)?;
    destinations(report, page)?;
    fidelity(report, page)?;
    failures(report, page)?;
    page.push_str(
        "<p class=\"muted\">This page names secrets, and holds no value of any. Times are UTC.</p>\n</body>\n</html>\n",
    );
    Ok(())
}

fn summary(report: &Report, page: &mut String) -> fmt::Result {
    let done = report.done();
    page.push_str("<dl>\n");
    let mut row = |name: &str, value: &dyn Display| writeln!(page, "<dt>{name}</dt><dd>{value}</dd>");
    row("run by", &format_args!("{} on {}", Text(&report.operator), Text(&report.host)))?;
    row("started", &time(report.started))?;
    row("ended", &format_args!("{}, after {:.1} s", time(report.ended), report.duration().as_secs_f64()))?;
    row("rate", &format_args!("{:.1} a second", report.rate()))?;
    row("vsync", &Text(&report.vsync))?;
    row("done", &format_args!("{} added, {} updated, {} deleted", done.add, done.update, done.delete))?;
    if let Some(words) = done.irrevocable_in_words() {
        row("of the deleted", &format_args!("{words} for good"))?;
    }
    row("failed", &report.failed())?;
    row("pending", &report.pending())?;
    if let Some(cycle) = report.undoes {
        row("undoes cycle", &format_args!("<code>{cycle}</code>"))?;
    }
    page.push_str("</dl>\n");
    Ok(())
}

/// What kept the cycle from writing or from remembering.
fn troubles(report: &Report, page: &mut String) -> fmt::Result {
    let mut say = |text: &dyn Display| writeln!(page, "<p class=\"warn\">{text}</p>");
    for part in &report.destinations {
        let name = part.destination.as_str();
        if let Some(reason) = &part.blocked {
            say(&format_args!("{}: nothing (more) was begun: {}", Text(name), Text(reason)))?;
        }
        if let Some(reason) = &part.unsaved {
            say(&format_args!("{}: what was done could not be saved: {}", Text(name), Text(reason)))?;
        }
    }
    if let Some(reason) = &report.origin_unsaved {
        say(&format_args!("What the origin holds could not be saved: {}", Text(reason)))?;
    }
    for subtree in &report.origin_unknown {
        say(&format_args!(
            "<code>{}</code> of the origin could not be read, and was left as it is everywhere: {}",
            Text(&subtree.prefix),
            Text(&subtree.reason)
        ))?;
    }
    Ok(())
}

fn destinations(report: &Report, page: &mut String) -> fmt::Result {
    page.push_str("<h2>Destinations</h2>\n<table>\n<thead><tr><th>destination</th>");
    for heading in ["planned", "added", "updated", "deleted", "failed", "pending", "in sync", "drifted", "unknown"] {
        write!(page, "<th class=\"n\">{heading}</th>")?;
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for part in &report.destinations {
        write!(page, "<tr><td>{}</td>", Text(part.destination.as_str()))?;
        let failed = part.failures.len() as u64;
        let counts = [
            part.planned.total(),
            part.done.add,
            part.done.update,
            part.done.delete,
            failed,
            part.pending,
            part.in_sync,
            part.drifted,
            part.unknown,
        ];
        for count in counts {
            write!(page, "<td class=\"n\">{count}</td>")?;
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
    Ok(())
}

/// What was copied beside values, and what could not be made equal.
fn fidelity(report: &Report, page: &mut String) -> fmt::Result {
    let parts = report.destinations.iter().filter_map(|part| Some((&part.destination, part.fidelity.as_ref()?)));
    for (at, (name, fidelity)) in parts.enumerate() {
        if at == 0 {
            page.push_str("<h2>Beside values</h2>\n");
        }
        writeln!(page, "<h3>{}</h3>\n<ul>", Text(name.as_str()))?;
        for sentence in fidelity.sentences() {
            writeln!(page, "<li>{}</li>", Text(&sentence))?;
        }
        page.push_str("</ul>\n");
    }
    Ok(())
}

fn failures(report: &Report, page: &mut String) -> fmt::Result {
    if report.failed() == 0 {
        page.push_str("<p class=\"good\">Nothing failed.</p>\n");
        return Ok(());
    }
    writeln!(page, "<h2>Failures: {}</h2>", report.failed())?;
    for cause in Cause::ALL {
        let of_cause: Vec<_> = report.failures().filter(|(_, failure)| failure.cause == cause).collect();
        if !of_cause.is_empty() {
            group(cause, &of_cause, page)?;
        }
    }
    Ok(())
}

fn group(cause: Cause, failures: &[(&DestinationName, &Failure)], page: &mut String) -> fmt::Result {
    writeln!(page, "<h3><span class=\"bad\">{}</span>: {}</h3>", Text(cause.as_str()), failures.len())?;
    writeln!(page, "<p>{}</p>\n<p class=\"muted\">{}</p>", Text(cause.explanation()), Text(cause.remedy()))?;
    page.push_str(
        "<table>\n<thead><tr><th>destination</th><th>operation</th><th>secret</th><th>why</th>\
         <th class=\"n\">requests</th><th>given up</th></tr></thead>\n<tbody>\n",
    );
    for (name, failure) in failures {
        let operation = match failure.operation {
            Operation::Add => "add",
            Operation::Update => "update",
            Operation::Delete => "delete",
            Operation::Destroy => "destroy",
            Operation::Purge => "purge",
        };
        write!(
            page,
            "<tr><td>{}</td><td>{operation}</td><td><code>{}</code>",
            Text(name.as_str()),
            Text(&failure.origin.to_string())
        )?;
        if failure.origin != failure.destination {
            write!(page, "<br><code class=\"muted\">to {}</code>", Text(&failure.destination.to_string()))?;
        }
        writeln!(
            page,
            "</td><td>{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            Text(&failure.message),
            failure.attempts,
            time(failure.at)
        )?;
    }
    page.push_str("</tbody>\n</table>\n");
    Ok(())
}

fn time(time: Timestamp) -> impl Display {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    #[test]
    fn a_hostile_name_stays_a_name() {
        let page = render(&report());
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;"));
        assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'), "nothing hides or turns what follows");
        assert!(page.contains("its lock is held by &lt;b&gt;anna&lt;/b&gt;"));
    }

    #[test]
    fn the_page_needs_nothing_else() {
        let page = render(&report());
        for outside in ["http://", "https://", "<script", "<link", "<img", "src=", "url(", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn it_says_what_the_report_says() {
        let page = render(&report());
        let permission = page.find(">permission</span>: 2</h3>").expect("two by permission");
        let server = page.find(">server</span>: 1</h3>").expect("one by the server");
        assert!(permission < server);
        assert!(page[permission..server].contains(&Text(Cause::Permission.remedy()).to_string()));
        assert!(page[permission..server].contains("secret/payments/api"));
        assert!(page.contains("24 added, 2 updated, 2 deleted"));
        assert!(page.contains("halted") && page.contains("after 122.5 s"));
        for tag in ["table", "tr", "td", "th", "dl", "h3", "p", "tbody", "thead", "code"] {
            let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn a_clean_cycle_says_so() {
        let mut clean = report();
        clean.destinations.remove(0);
        let page = render(&clean);
        assert!(page.contains("Nothing failed."));
    }
}
