//! The doctor on files that are well, and on files that were broken on purpose.
