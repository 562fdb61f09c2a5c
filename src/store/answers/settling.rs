//! The places of answers leave memory: they become a segment, in steps that nobody waits long for.

use std::sync::Arc;

use super::super::Store;
use super::super::error::StoreError;
use super::recent::Recent;
use super::segment::Drawing;
use super::{Answers, segment_rows};

/// How many parts are written in one turn: half a megabyte, some milliseconds of the right to write.
const PARTS_AT_ONCE: usize = 16;

impl Store {
    /// Returns when there are places for [`Store::settle_answers`] to write.
    pub async fn answers_are_full(&self) {
        self.0.answers_full.notified().await;
    }

    /// Makes a segment of the oldest places that are ready to be one, and says whether there were any.
    ///
    /// What it has not finished when it is dropped or fails is begun anew by the next; nothing depends on it but memory.
    pub async fn settle_answers(&self) -> Result<bool, StoreError> {
        let Some((id, recent)) = self.0.lane.lock().await.answers.oldest_full() else { return Ok(false) };
        let drawing = tokio::task::spawn_blocking(move || Drawing::of(id, &recent)).await;
        let drawing = drawing.map_err(|error| StoreError::Internal(format!("No segment could be made: {error}")))?;
        for parts in drawing.parts.chunks(PARTS_AT_ONCE) {
            let lane = self.lane().await?;
            segment_rows::write(lane.db(), parts).await?;
            lane.commit().await?;
        }
        let mut lane = self.lane().await?;
        segment_rows::finish(lane.db(), &drawing.segment).await?;
        lane.changes().settled = Some(drawing.segment);
        lane.commit().await?;
        Ok(true)
    }
}

impl Answers {
    /// The oldest places that are to become a segment, and the id that it will have.
    fn oldest_full(&self) -> Option<(i64, Arc<Recent>)> {
        self.full.front().map(|oldest| (self.next_segment, Arc::clone(oldest)))
    }

    /// A segment of which no answer is kept any longer.
    pub(super) fn outlived(&self, end_of_keeping: i64) -> Option<i64> {
        self.segments.iter().find(|segment| segment.newest <= end_of_keeping).map(|segment| segment.id)
    }
}
