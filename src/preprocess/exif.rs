//! EXIF orientation.
