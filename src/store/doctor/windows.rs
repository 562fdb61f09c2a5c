//! Windows that are none of the calendar's.

use sea_orm::{ConnectionTrait, DbErr, Statement};

use super::examination::{Examination, Level};
use crate::domain::time::UtcMillis;
use crate::domain::window::{Span, Window};

/// What has a window has one of few.
const WINDOWS: [(&str, &str); 2] = [
    ("usage", "SELECT DISTINCT window_start, window_end FROM usage WHERE window_end IS NOT NULL"),
    ("reservation", "SELECT DISTINCT window_start, window_end FROM reservation WHERE window_end IS NOT NULL"),
];

impl Examination {
    pub(super) async fn look_at_windows(&mut self) -> Result<(), DbErr> {
        for (table, sql) in WINDOWS {
            let found = self.db.query_all_raw(Statement::from_string(self.db.get_database_backend(), sql)).await;
            let windows = found.and_then(|rows| {
                rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect::<Result<Vec<_>, _>>()
            });
            let windows: Vec<(i64, i64)> = match windows {
                Ok(windows) => windows,
                Err(error) => {
                    self.give_up_on(table, error)?;
                    continue;
                }
            };
            for (start, end) in windows.into_iter().filter(|(start, end)| !is_of_the_calendar(*start, *end)) {
                let when = format!("r.window_start = {start} AND r.window_end = {end}");
                self.find(Level::Off, table, "its window is none of the calendar's", &when).await?;
            }
        }
        Ok(())
    }
}

fn is_of_the_calendar(start: i64, end: i64) -> bool {
    let span = Span { start: UtcMillis::new(start), end: UtcMillis::new(end) };
    // A moment outside of the calendar is moved into it.
    let is_whole = span.start.get() == start && span.end.get() == end;
    is_whole && Window::ALL.into_iter().any(|window| window.span(span.start) == span)
}
