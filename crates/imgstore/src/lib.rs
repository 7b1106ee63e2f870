//! Where image blobs live: source and sink traits, OCI layouts, memory, directories, archives.
