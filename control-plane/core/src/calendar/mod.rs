//! Windows and blackouts: whether anything may be begun now, and when that changes.
//!
//! Outside its windows, and in a blackout, nothing is begun, whoever wants it; who breaks the glass of an approval may. A period is a
//! state and no event: a control plane that was down while one began or ended finds what is so when it comes back, and makes up for
//! nothing. Where the clocks go forward or back, a time that does not exist or exists twice counts so that less is begun: a blackout is
//! as long, and a window as short, as it can be read.

mod notices;
mod stand;

use jiff::Timestamp;

pub use notices::notices;
pub use stand::{Reading, Stand, stand};

use crate::model::{ActionKind, Passed};
use crate::settings::Settings;
use crate::settings::calendar::Period;

/// How a broken glass names that it passes windows by.
pub(crate) const OUTSIDE: &str = "outside its windows";

/// What holds something back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// In words: which blackout and until when, or when its next window begins.
    pub text: String,
    /// What a glass that is broken now passes by: each blackout that is now, and that it is outside its windows.
    pub past: Vec<Passed>,
}

/// How a broken glass names a blackout that it passes by.
pub(crate) fn past(blackout: &Period) -> String {
    format!("blackout {}", blackout.name)
}

/// Where every period stands at one moment.
#[derive(Debug)]
pub(crate) struct Calendar<'a> {
    now: Timestamp,
    blackouts: Vec<(&'a Period, Stand)>,
    windows: Vec<(&'a Period, Stand)>,
}

impl<'a> Calendar<'a> {
    /// Of these settings, at this moment.
    pub(crate) fn at(settings: &'a Settings, now: Timestamp) -> Self {
        let of = |periods: &'a [Period], reading| {
            periods.iter().map(|period| (period, stand(period, reading, now))).collect()
        };
        Self {
            now,
            blackouts: of(&settings.blackout, Reading::Longest),
            windows: of(&settings.window, Reading::Shortest),
        }
    }

    /// What holds back what would be begun by this action (`None`: one that this build does not know) in the place of these names, but
    /// for what a broken glass has `passed` by.
    pub(crate) fn held(
        &self,
        action: Option<ActionKind>,
        places: &[&str],
        passed: &[Passed],
    ) -> Option<Held> {
        let is_passed = |what: &str| passed.iter().any(|passed| passed.passes(what, self.now));
        let mut past_all = Vec::new();
        let mut last: Option<(Timestamp, Option<Timestamp>, &Period)> = None;
        for (period, stand) in self.blackouts.iter().filter(|(period, _)| fits(period, action, places)) {
            let name = past(period);
            let Stand::Now(until) = *stand else { continue };
            if is_passed(&name) {
                continue;
            }
            past_all.push(Passed { what: name, until });
            let end = until.unwrap_or(Timestamp::MAX);
            if last.is_none_or(|(other, ..)| end > other) {
                last = Some((end, until, period));
            }
        }
        let outside = if is_passed(OUTSIDE) { None } else { self.outside(action, places) };
        if let Some((until, _)) = &outside {
            past_all.push(Passed { what: OUTSIDE.to_owned(), until: *until });
        }
        let text = match (last, outside) {
            (Some((_, until, period)), _) => {
                let until = until.map_or_else(String::new, |until| format!(" until {until:.0}"));
                format!("blackout {}{until}: {}", period.name, period.words())
            }
            (None, Some((_, outside))) => outside,
            (None, None) => return None,
        };
        Some(Held { text, past: past_all })
    }

    /// Where there are windows for it and none of them is now, when the next one begins, and that in words.
    fn outside(&self, action: Option<ActionKind>, places: &[&str]) -> Option<(Option<Timestamp>, String)> {
        let mut windows = self.windows.iter().filter(|(period, _)| fits(period, action, places)).peekable();
        windows.peek()?;
        let mut next: Option<(Timestamp, &Period)> = None;
        for (period, stand) in windows {
            match *stand {
                Stand::Now(_) => return None,
                Stand::Later(Some(begins)) if next.is_none_or(|(first, _)| begins < first) => {
                    next = Some((begins, period));
                }
                Stand::Later(_) => {}
            }
        }
        let text = match next {
            Some((begins, period)) => {
                format!("{OUTSIDE} until {begins:.0}: {} is {}", period.name, period.words())
            }
            None => format!("{OUTSIDE}, of which none is left"),
        };
        Some((next.map(|(begins, _)| begins), text))
    }

    /// When something that is not held back now will be: a job for it has to be begun before. What a glass passes by is passed until
    /// then, and may come back.
    pub(crate) fn next(
        &self,
        action: Option<ActionKind>,
        places: &[&str],
        passed: &[Passed],
    ) -> Option<Timestamp> {
        let is_passed = |what: &str| passed.iter().any(|passed| passed.passes(what, self.now));
        let blackouts = self.blackouts.iter().filter(|(period, _)| fits(period, action, places));
        let begins =
            blackouts.filter(|(period, _)| !is_passed(&past(period))).filter_map(|(_, stand)| match stand {
                Stand::Later(begins) => *begins,
                // Held back now, nothing is begun.
                Stand::Now(_) => None,
            });
        let passed_until = |what: &str| {
            let passing = passed.iter().filter(|one| one.passes(what, self.now));
            passing.map(|one| one.until.unwrap_or(Timestamp::MAX)).max()
        };
        let blackouts = self.blackouts.iter().filter(|(period, _)| fits(period, action, places));
        let again = blackouts.filter_map(|(period, _)| {
            let until = passed_until(&past(period)).filter(|until| *until < Timestamp::MAX)?;
            match stand(period, Reading::Longest, until) {
                Stand::Later(begins) => begins,
                Stand::Now(_) => Some(until),
            }
        });
        let ends = match passed_until(OUTSIDE) {
            None => self.windows_end(action, places, self.now),
            Some(until) if until == Timestamp::MAX => None,
            // Where no window is then, it is held back again.
            Some(until) if self.is_outside(action, places, until) => Some(until),
            Some(until) => self.windows_end(action, places, until),
        };
        begins.chain(again).chain(ends).min()
    }
}

/// Most windows that follow each other without a pause and are taken for one.
const MOST_TOUCHING: usize = 16;

impl Calendar<'_> {
    /// Are there windows for it, and is none of them at that moment?
    fn is_outside(&self, action: Option<ActionKind>, places: &[&str], at: Timestamp) -> bool {
        let mut fitting = self.windows.iter().filter(|(period, _)| fits(period, action, places)).peekable();
        fitting.peek().is_some()
            && fitting.all(|(period, _)| match stand(period, Reading::Shortest, at) {
                Stand::Now(_) => false,
                Stand::Later(_) => true,
            })
    }

    /// When the windows that are at that moment end, with those that follow them without a pause; `None`: there is none then, or no
    /// end.
    fn windows_end(&self, action: Option<ActionKind>, places: &[&str], at: Timestamp) -> Option<Timestamp> {
        let fitting: Vec<_> =
            self.windows.iter().filter(|(period, _)| fits(period, action, places)).collect();
        let ends = |stand: &Stand| match *stand {
            Stand::Now(until) => Some(until.unwrap_or(Timestamp::MAX)),
            Stand::Later(_) => None,
        };
        let then = fitting
            .iter()
            .map(|(period, now)| if at == self.now { *now } else { stand(period, Reading::Shortest, at) });
        let mut end = then.filter_map(|stand| ends(&stand)).max()?;
        for _ in 0..MOST_TOUCHING {
            let then = fitting.iter().map(|(period, _)| stand(period, Reading::Shortest, end));
            match then.filter_map(|stand| ends(&stand)).max() {
                Some(later) if end < Timestamp::MAX => end = later,
                Some(_) | None => break,
            }
        }
        (end < Timestamp::MAX).then_some(end)
    }
}

/// Is the period for this action in the place of these names?
fn fits(period: &Period, action: Option<ActionKind>, places: &[&str]) -> bool {
    let for_action = period.actions.is_empty() || action.is_none_or(|kind| period.actions.contains(&kind));
    let there =
        period.clusters.is_empty() || period.clusters.iter().any(|name| places.contains(&name.as_str()));
    for_action && there
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(json: &str) -> Period {
        serde_json::from_str(&format!(r#"{{"name":"n",{json}}}"#)).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn deny_beats_allow_and_the_last_blackout_says_until_when() {
        let mut settings = Settings::default();
        let now = at("2026-12-05T10:00:00Z");
        let held = |settings: &Settings| {
            let held = Calendar::at(settings, now).held(Some(ActionKind::RestartPod), &["prod"], &[]);
            held.map(|held| held.text)
        };
        assert_eq!(held(&settings), None, "without any, always");
        let named = |name: &str, json: &str| Period { name: name.to_owned(), ..period(json) };
        settings.window = vec![named("weekend", r#""zone":"UTC","days":["sat"]"#)];
        assert_eq!(held(&settings), None);
        settings.window = vec![
            named("sunday", r#""zone":"UTC","days":["sun"]"#),
            named("evening", r#""zone":"UTC","from":"20:00""#),
        ];
        assert_eq!(
            held(&settings).unwrap(),
            "outside its windows until 2026-12-05T20:00:00Z: evening is every day 20:00 to 00:00 (UTC)"
        );
        settings.window.truncate(1);
        settings.window[0].clusters = vec!["test".to_owned()];
        assert_eq!(held(&settings), None, "a window of another cluster holds nothing here");
        settings.window = vec![named("weekend", r#""zone":"UTC","days":["sat"]"#)];
        settings.blackout = vec![
            named("sale", r#""zone":"UTC","starts":"2026-12-05T00:00","ends":"2026-12-05T12:00""#),
            named("freeze", r#""zone":"UTC","starts":"2026-12-05T00:00","ends":"2026-12-06T00:00""#),
        ];
        let said = held(&settings).unwrap();
        assert!(said.starts_with("blackout freeze until 2026-12-06T00:00:00Z: "), "{said}");
        for blackout in &mut settings.blackout {
            blackout.actions = vec![ActionKind::RestoreFile];
        }
        assert_eq!(held(&settings), None);
        let unknown = Calendar::at(&settings, now).held(None, &["prod"], &[]);
        let all = ["blackout sale", "blackout freeze"];
        let past: Vec<String> = unknown.unwrap().past.into_iter().map(|it| it.what).collect();
        assert_eq!(past, all, "what nobody knows may be what is meant");
        settings.blackout.clear();
        settings.window =
            vec![named("once", r#""zone":"UTC","starts":"2026-12-01T00:00","ends":"2026-12-02T00:00""#)];
        assert_eq!(held(&settings).unwrap(), "outside its windows, of which none is left");
    }

    #[test]
    fn what_was_passed_by_holds_nothing_back_and_what_was_not_does() {
        let now = at("2026-12-05T10:00:00Z");
        let named = |name: &str, json: &str| Period { name: name.to_owned(), ..period(json) };
        let settings = Settings {
            blackout: vec![
                named("sale", r#""zone":"UTC","starts":"2026-12-05T00:00","ends":"2026-12-05T12:00""#),
                named("night", r#""zone":"UTC","from":"22:00","to":"23:00""#),
            ],
            window: vec![named("sunday", r#""zone":"UTC","days":["sun"]"#)],
            ..Settings::default()
        };
        let calendar = Calendar::at(&settings, now);
        let held = |passed: &[&str]| {
            let passed: Vec<Passed> =
                passed.iter().map(|&it| Passed { what: it.to_owned(), until: None }).collect();
            let held = calendar.held(None, &[], &passed)?;
            Some(held.past.into_iter().map(|it| it.what).collect::<Vec<_>>())
        };
        assert_eq!(held(&[]).unwrap(), ["blackout sale", OUTSIDE]);
        assert_eq!(held(&["blackout sale"]).unwrap(), [OUTSIDE]);
        assert_eq!(held(&["blackout night", OUTSIDE]).unwrap(), ["blackout sale"]);
        assert_eq!(held(&["blackout sale", OUTSIDE]), None);
        let all = ["blackout sale", OUTSIDE].map(|it| Passed { what: it.to_owned(), until: None });
        assert_eq!(
            calendar.next(None, &[], &all),
            Some(at("2026-12-05T22:00:00Z")),
            "the night was not passed"
        );
    }

    #[test]
    fn what_is_begun_now_has_to_be_before_a_window_ends_or_a_blackout_begins() {
        let mut settings = Settings::default();
        let next = |settings: &Settings, now: &str| Calendar::at(settings, at(now)).next(None, &[], &[]);
        assert_eq!(next(&settings, "2026-12-05T10:00:00Z"), None);
        settings.window = vec![
            period(r#""zone":"UTC","to":"12:00""#),
            period(r#""zone":"UTC","from":"09:00","to":"11:00""#),
        ];
        assert_eq!(next(&settings, "2026-12-05T10:00:00Z"), Some(at("2026-12-05T12:00:00Z")));
        let touching = period(r#""zone":"UTC","from":"12:00","to":"13:00""#);
        settings.window.push(touching);
        assert_eq!(
            next(&settings, "2026-12-05T10:00:00Z"),
            Some(at("2026-12-05T13:00:00Z")),
            "one after the other"
        );
        settings.blackout = vec![period(r#""zone":"UTC","from":"10:30","to":"10:40""#)];
        assert_eq!(next(&settings, "2026-12-05T10:00:00Z"), Some(at("2026-12-05T10:30:00Z")));
    }
}
