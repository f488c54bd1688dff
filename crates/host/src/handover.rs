//! What a process hands to the program that it becomes: a text, and open descriptors.
//!
//! Descriptors do not cross an exec by number, because making a number into a descriptor is `unsafe` in Rust. They travel as
//! a message in a socket whose far end is the new program's standard input. So every other descriptor stays close-on-exec,
//! and a program that never reads the message leaks nothing: the kernel closes what is in it with the socket.
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// The kernel passes 253 descriptors with one message; one of them holds the text.
const MOST: usize = 252;

/// A longer text is not read, in bytes.
const TEXT_LIMIT: u64 = 16 << 20;

/// A text and descriptors, on their way from a program to its successor in the same process.
#[derive(Debug)]
pub struct Handover {
    /// What the successor must know, such as JSON.
    pub state: Vec<u8>,
    /// What it must keep open, in an order that the text explains.
    pub descriptors: Vec<OwnedFd>,
}

impl Handover {
    /// The socket in which everything waits to be received.
    pub(crate) fn send(&self) -> io::Result<OwnedFd> {
        if self.descriptors.len() > MOST {
            let many = format!("{} descriptors, and {MOST} can be handed over", self.descriptors.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, many));
        }
        let mut text = File::from(memfd_create("handover", MemfdFlags::CLOEXEC)?);
        text.write_all(&self.state)?;
        text.rewind()?;
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let all: Vec<BorrowedFd<'_>> =
            [text.as_fd()].into_iter().chain(self.descriptors.iter().map(AsFd::as_fd)).collect();
        let rights = SendAncillaryMessage::ScmRights(&all);
        let mut space = vec![MaybeUninit::uninit(); rights.size()];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(rights);
        // A message must have a byte to carry descriptors.
        sendmsg(&near, &[IoSlice::new(b"1")], &mut control, SendFlags::NOSIGNAL)?;
        Ok(far)
    }

    /// What the program before this one handed over. Standard input is `/dev/null` afterwards.
    ///
    /// # Errors
    /// Nobody handed anything over: this program was started by hand, or twice.
    pub fn receive() -> io::Result<Self> {
        let received = Self::from(io::stdin().as_fd())?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        Ok(received)
    }

    pub(crate) fn from(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST + 1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let message = recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
        if message.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::other("not all descriptors arrived: the limit of open files is too low"));
        }
        let mut descriptors: Vec<OwnedFd> = control
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(rights) => Some(rights),
                _ => None,
            })
            .flatten()
            .collect();
        if descriptors.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "nothing was handed over"));
        }
        let mut state = Vec::new();
        File::from(descriptors.remove(0)).take(TEXT_LIMIT).read_to_end(&mut state)?;
        Ok(Self { state, descriptors })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_descriptors_arrive_in_order() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let (other, _) = io::pipe().expect("a pipe");
        let state = vec![b'x'; 1 << 20];
        let sent = Handover { state: state.clone(), descriptors: vec![other.into(), writer.into()] };
        let socket = sent.send().expect("sent");
        drop(sent);
        let mut received = Handover::from(socket.as_fd()).expect("received");
        assert_eq!(received.state, state);
        let writer = received.descriptors.pop().expect("the second descriptor");
        File::from(writer).write_all(b"still open").expect("written");
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("read");
        assert_eq!(text, "still open");
    }

    #[test]
    fn nothing_is_received_twice_and_too_much_is_refused() {
        let socket = Handover { state: Vec::new(), descriptors: Vec::new() }.send().expect("sent");
        Handover::from(socket.as_fd()).expect("received");
        assert!(Handover::from(socket.as_fd()).is_err());
        let null = || OwnedFd::from(File::open("/dev/null").expect("there is one"));
        let many = Handover { state: Vec::new(), descriptors: (0..=MOST).map(|_| null()).collect() };
        assert_eq!(many.send().expect_err("refused").kind(), io::ErrorKind::InvalidInput);
    }
}
