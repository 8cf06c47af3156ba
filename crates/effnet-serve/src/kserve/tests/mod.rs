//! Tests of the codecs, and of what they share.
