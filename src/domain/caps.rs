//! The model of the bucket.
