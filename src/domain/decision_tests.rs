//! Properties of the decision that hold for every input.
