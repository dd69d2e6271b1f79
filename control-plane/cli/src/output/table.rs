//! Tables that are fitted to the terminal's width: a column that is too wide is cut with `…` and never wraps.
//!
//! Decides widths. When the whole table does not fit, the widest columns that may be cut are cut first, down to
//! their least width; then columns marked optional are left out, the last one first.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::theme::{Theme, Tone};

const GAP: usize = 2;

/// Which end of a text is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Never cut: numbers, states.
    Never,
    /// `restarted 12 ti…`
    End,
    /// `…/host/app.conf`: for paths, whose end says more.
    Start,
    /// `put back …/app.conf`: for sentences with a path, which gives way first, from its start; then the words around it do,
    /// and last of all the file's name.
    Path,
}

/// A column's head and how it gives way.
#[derive(Debug, Clone)]
pub struct Column {
    title: &'static str,
    cut: Cut,
    least: usize,
    optional: bool,
    right: bool,
}

impl Column {
    /// A column that is always shown whole.
    pub fn new(title: &'static str) -> Self {
        Self { title, cut: Cut::Never, least: 0, optional: false, right: false }
    }

    /// May be cut down to `least` columns.
    #[must_use]
    pub fn cut(mut self, cut: Cut, least: usize) -> Self {
        (self.cut, self.least) = (cut, least.max(2));
        self
    }

    /// May be left out on a narrow terminal.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Flush right: for numbers.
    #[must_use]
    pub fn right(mut self) -> Self {
        self.right = true;
        self
    }
}

/// A text in its tone.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Text as it is; made safe for a terminal.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self::toned(text, Tone::Plain)
    }

    /// Text in a tone.
    pub fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: super::plain(text.as_ref()).into_owned(), tone }
    }

    /// A state or severity, readable and in its own tone.
    pub fn word(word: &str) -> Self {
        let text = if word == "waiting_approval" {
            "needs approval".to_owned()
        } else {
            super::theme::readable(word)
        };
        Self::toned(text, super::theme::tone_of(word))
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// Rows under a head.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, surplus ones are not shown.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The table as text, each line at most `width` wide (`None`: as wide as it is).
    pub fn render(&self, theme: &Theme, width: Option<usize>) -> String {
        let (shown, widths) = self.fit(width);
        let mut out = String::new();
        let head: Vec<Cell> = self.columns.iter().map(|c| Cell::toned(c.title, Tone::Quiet)).collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            let mut pending = 0;
            for (&at, &room) in shown.iter().zip(&widths) {
                let column = &self.columns[at];
                let empty = Cell::new("");
                let cell = row.get(at).unwrap_or(&empty);
                let text = shorten(&cell.text, room, column.cut);
                let fill = room - text.width();
                if column.right {
                    pending += fill;
                }
                // Spaces are written only before text: no line ends in them.
                if !text.is_empty() {
                    line.extend(std::iter::repeat_n(' ', pending));
                    line.push_str(&theme.paint(cell.tone, &text));
                    pending = 0;
                }
                pending += if column.right { 0 } else { fill } + GAP;
            }
            out.push_str(&line);
            out.push('\n');
        }
        out
    }

    /// Which columns are shown and how wide each is.
    fn fit(&self, width: Option<usize>) -> (Vec<usize>, Vec<usize>) {
        let natural = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.text.width());
            cells.max().unwrap_or(0).max(self.columns[at].title.width())
        };
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let all: Vec<usize> = shown.iter().map(|&at| natural(at)).collect();
        let Some(width) = width else { return (shown, all) };
        let least = |at: usize| {
            let column = &self.columns[at];
            if column.cut == Cut::Never {
                all[at]
            } else {
                all[at].min(column.least.max(column.title.width()))
            }
        };
        let total = |shown: &[usize], of: &dyn Fn(usize) -> usize| {
            shown.iter().map(|&at| of(at)).sum::<usize>() + GAP * shown.len().saturating_sub(1)
        };
        while total(&shown, &least) > width
            && let Some(at) = shown.iter().rposition(|&at| self.columns[at].optional)
        {
            shown.remove(at);
        }
        let mut widths: Vec<usize> = shown.iter().map(|&at| all[at]).collect();
        let mut excess = total(&shown, &|at| all[at]).saturating_sub(width);
        // One step at a time from the widest: columns of like width end up alike.
        while excess > 0 {
            let widest = (0..shown.len()).filter(|&i| widths[i] > least(shown[i])).max_by_key(|&i| widths[i]);
            let Some(widest) = widest else { break };
            widths[widest] -= 1;
            excess -= 1;
        }
        while excess > 0
            && let Some(i) = (0..shown.len()).filter(|&i| widths[i] > 2).max_by_key(|&i| widths[i])
        {
            widths[i] -= 1;
            excess -= 1;
        }
        (shown, widths)
    }
}

/// `text` in at most `room` columns.
pub fn shorten(text: &str, room: usize, cut: Cut) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let fits = |letters: &mut dyn Iterator<Item = char>| {
        let mut used = 1;
        let mut kept = Vec::new();
        for letter in letters {
            used += letter.width().unwrap_or(0);
            if used > room {
                break;
            }
            kept.push(letter);
        }
        kept
    };
    match (room, cut) {
        (0, _) => String::new(),
        (_, Cut::Start) => {
            let kept = fits(&mut text.chars().rev());
            std::iter::once('…').chain(kept.into_iter().rev()).collect()
        }
        (_, Cut::Path) => shorten_path(text, room),
        (_, Cut::End | Cut::Never) => {
            let kept: String = fits(&mut text.chars()).into_iter().collect();
            format!("{}…", kept.trim_end())
        }
    }
}

/// A sentence whose longest path is cut at its start, as far as its last component. Where that is not enough, what follows
/// the path is cut, then what stands before it: the file's name is whole wherever it fits by itself.
fn shorten_path(text: &str, room: usize) -> String {
    let paths = text.split(' ').filter(|word| word.starts_with(['/', '"']) && word.matches('/').count() > 1);
    let Some(path) = paths.max_by_key(|word| word.width()) else { return shorten(text, room, Cut::End) };
    let last = path.rfind('/').map_or(path, |at| &path[at..]);
    let over = text.width().saturating_sub(room);
    let keep = path.width().saturating_sub(over).max(last.width() + 1).min(path.width());
    let cut = shorten(path, keep, Cut::Start);
    // A component is kept whole or not at all.
    let whole = if keep < path.width() {
        cut.find('/').map_or(cut.clone(), |at| format!("…{}", &cut[at..]))
    } else {
        cut
    };
    let (before, after) = text.split_once(path).unwrap_or((text, ""));
    let shorter = format!("{before}{whole}{after}");
    let mark_width = usize::from(!after.is_empty());
    if shorter.width() <= room {
        shorter
    } else if before.width() + whole.width() + mark_width <= room {
        shorten(&shorter, room, Cut::End)
    } else {
        let mark = if after.is_empty() { "" } else { " …" };
        shorten_before(before.trim_end(), &whole, mark, room)
    }
}

/// `before` cut at its end, so that the path behind it and the `mark` of what is left out there fit into `room`; without
/// `before` where there is no room for a word of it, and the name of the file alone where that is all that fits.
fn shorten_before(before: &str, path: &str, mark: &str, room: usize) -> String {
    /// Fewer letters say nothing.
    const LEAST: usize = 4;
    let left = room.saturating_sub(path.width() + mark.width() + 1);
    let name = path.rfind('/').map_or(path, |at| &path[at + 1..]);
    if left >= LEAST {
        format!("{} {path}{mark}", shorten(before, left, Cut::End))
    } else if path.width() + mark.width() <= room {
        format!("{path}{mark}")
    } else if path.width() <= room {
        path.to_owned()
    } else {
        shorten(name, room, Cut::Start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_sentence_with_a_path_the_end_of_the_path_stays() {
        let text = "put back /srv/app/releases/2026-11-22/config/app.conf now";
        assert_eq!(shorten(text, 57, Cut::Path), text);
        assert_eq!(shorten(text, 30, Cut::Path), "put back …/config/app.conf now");
        assert_eq!(shorten(text, 22, Cut::Path), "put back …/app.conf n…");
        assert_eq!(shorten("no path in this sentence", 10, Cut::Path), "no path i…");
        let problem = "/srv/a/very/long/root: expected a directory, found none";
        assert_eq!(shorten(problem, 44, Cut::Path), "…/root: expected a directory, found none");
    }

    #[test]
    fn the_name_of_the_file_is_whole_as_long_as_it_fits_by_itself() {
        let text = "put back mode and owner of /srv/app/conf/f13.conf";
        for (room, cut) in [
            (37, "put back mode and owner of …/f13.conf"),
            (36, "put back mode and owner… …/f13.conf"),
            (31, "put back mode and o… …/f13.conf"),
            (15, "put… …/f13.conf"),
            (14, "…/f13.conf"),
            (10, "…/f13.conf"),
            (9, "f13.conf"),
            (8, "f13.conf"),
            (7, "…3.conf"),
        ] {
            assert_eq!(shorten(text, room, Cut::Path), cut, "{room}");
            assert!(cut.width() <= room, "{room}");
        }
        let accepted = "take /srv/app/conf/f13.conf as it is now as the new baseline";
        assert_eq!(shorten(accepted, 30, Cut::Path), "take …/f13.conf as it is now…");
        assert_eq!(shorten(accepted, 15, Cut::Path), "…/f13.conf …");
        assert_eq!(shorten(accepted, 10, Cut::Path), "…/f13.conf");
        for room in 0..70 {
            assert!(shorten(text, room, Cut::Path).width() <= room, "{room}");
            assert!(shorten(accepted, room, Cut::Path).width() <= room, "{room}");
        }
    }

    fn table() -> Table {
        let mut table = Table::new(vec![
            Column::new("ID"),
            Column::new("FILE").cut(Cut::Start, 10),
            Column::new("AGE").right(),
            Column::new("WHY").cut(Cut::End, 8),
            Column::new("EXTRA").optional(),
        ]);
        table.row(vec![
            "inc_1".into(),
            "/srv/app/conf/app.conf".into(),
            "3m".into(),
            "content changed by hand".into(),
            "x".into(),
        ]);
        table.row(vec!["inc_22".into(), "/etc/motd".into(), "12h".into(), "".into(), "".into()]);
        table
    }

    #[test]
    fn everything_is_shown_where_there_is_room() {
        insta::assert_snapshot!(table().render(&Theme::plain(), None), @r"
        ID      FILE                    AGE  WHY                      EXTRA
        inc_1   /srv/app/conf/app.conf   3m  content changed by hand  x
        inc_22  /etc/motd               12h
        ");
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_and_drops_the_optional_but_never_wraps() {
        for width in [20, 30, 36, 44, 60] {
            let text = table().render(&Theme::plain(), Some(width));
            assert!(text.lines().all(|line| line.width() <= width), "{width}:\n{text}");
            assert_eq!(text.lines().count(), 3);
        }
        insta::assert_snapshot!(table().render(&Theme::plain(), Some(40)), @r"
        ID      FILE        AGE  WHY       EXTRA
        inc_1   …/app.conf   3m  content…  x
        inc_22  /etc/motd   12h
        ");
    }

    #[test]
    fn wide_letters_count_twice() {
        assert_eq!(shorten("文文文文", 5, Cut::End), "文文…");
        assert_eq!(shorten("文文文文", 5, Cut::Start), "…文文");
        assert_eq!(shorten("abc", 3, Cut::End), "abc");
        assert_eq!(shorten("abc", 0, Cut::End), "");
    }
}
