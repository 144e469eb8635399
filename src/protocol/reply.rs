//! Replies: those of the upstream, read; those to clients, written.

mod read;
mod write;

pub use read::{
    ANSWER_BYTES_MAX, Batch, Look, REPLY_BYTES_MAX, Told, UploadReply, read_batch, read_look,
    read_priced_look, read_told, read_upload,
};
pub use write::{Form, write_accepted, write_batch, write_code, write_list, write_solution, write_text};

#[cfg(test)]
mod tests;
