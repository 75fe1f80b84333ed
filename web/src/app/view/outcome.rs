//! What became of the last send, in the words that stand under the button.

use std::time::Duration;

use super::{Counts, OutcomeView};
use crate::app::exchange::Tally;
use crate::app::form::SocketKind;
use crate::app::log::{Fate, How};
use crate::app::model::Model;
use crate::app::runs::{Headline, Reply, Run};
use crate::app::{outcome, text};

/// Payload bytes that the outcome shows at most; the log's detail shows all.
const REPLY_SHOWN: usize = 4_000;

pub(super) fn outcome_view(model: &Model, now: Duration) -> OutcomeView {
    match &model.headline {
        Headline::Idle => OutcomeView {
            state: "idle",
            title: if model.form.kind.is_server() {
                "Not listening yet"
            } else {
                "Nothing sent yet"
            }
            .to_owned(),
            detail: if model.form.kind.is_server() {
                "Press Listen. Who calls, and what they say, will stand here."
            } else {
                "Press Send. What happens to the message, and what this program can know of it, will stand here."
            }
            .to_owned(),
            ..OutcomeView::default()
        },
        Headline::NoRelay if model.session.is_ready() => OutcomeView {
            state: "idle",
            title: "Nothing was sent".to_owned(),
            detail: "There was no relay then; now there is. What you typed has stayed.".to_owned(),
            ..OutcomeView::default()
        },
        Headline::NoRelay => OutcomeView {
            state: "unknown",
            title: "No relay, nothing sent".to_owned(),
            detail: "Only the relay has sockets. The page tries to reach it again; what you typed stays.".to_owned(),
            ..OutcomeView::default()
        },
        Headline::Preparing(what) => OutcomeView {
            state: "waiting",
            title: text::harmless(what),
            ..OutcomeView::default()
        },
        Headline::Failed(call, error) => OutcomeView {
            state: "error",
            title: text::harmless(&error.name),
            detail: format!("{call} failed, so nothing was sent. {}", outcome::about(error)),
            ..OutcomeView::default()
        },
        Headline::Listening => OutcomeView {
            state: "idle",
            title: "Waiting for a client".to_owned(),
            detail: "Nobody has called yet. A server does nothing until somebody calls.".to_owned(),
            ..OutcomeView::default()
        },
        Headline::Answered(heard) => {
            let mut view = OutcomeView {
                state: "answered",
                title: "A client says".to_owned(),
                detail: match heard.answered {
                    Some(bytes) => format!("Answered with {}.", text::bytes(bytes as u64)),
                    None => "Not answered. The program knows the sender’s address and could answer.".to_owned(),
                },
                ..OutcomeView::default()
            };
            fill(&mut view, &Reply {
                from: heard.from,
                payload: heard.payload.clone(),
                size: heard.size,
            });
            view
        }
        Headline::Run => match &model.run {
            Some(run) if run.settings.times > 1 => several(run),
            Some(run) => single(model, run, now),
            None => OutcomeView::default(),
        },
    }
}

fn fill(view: &mut OutcomeView, reply: &Reply) {
    view.payload_is_empty = reply.payload.is_empty();
    view.payload = Some(if reply.payload.is_empty() {
        "(empty: 0 bytes)".to_owned()
    } else {
        text::visible(&reply.payload, REPLY_SHOWN)
    });
    view.source = reply.from.to_string();
    let got = reply.payload.len() as u64;
    view.size = if u64::from(reply.size) > got {
        format!("{} of {}, cut", text::count(got), text::bytes(reply.size.into()))
    } else {
        text::bytes(got)
    };
}

fn several(run: &Run) -> OutcomeView {
    let tally = &run.tally;
    let title = if run.is_active {
        "sending…".to_owned()
    } else if tally.waiting > 0 {
        format!("waiting for {}…", text::count(tally.waiting))
    } else if tally.unknown > 0 {
        format!("{} unknown", text::count(tally.unknown))
    } else if run.expects_reply() {
        format!("{} of {} replied in time", text::count(tally.replies), text::count(tally.sent))
    } else {
        format!("{} sent", text::count(tally.sent))
    };
    let counts = counts_of(tally);
    OutcomeView {
        state: "several",
        title,
        counts: Some(counts),
        detail: "Each send and each reply is a row of the log.".to_owned(),
        ..OutcomeView::default()
    }
}

pub(super) fn counts_of(tally: &Tally) -> Counts {
    Counts {
        sent: tally.sent,
        replies: tally.replies,
        no_reply: tally.no_reply,
        late: tally.late,
        errors: tally.errors,
        waiting: tally.waiting,
        received: 0,
        dropped: 0,
    }
}

fn single(model: &Model, run: &Run, now: Duration) -> OutcomeView {
    let mut view = OutcomeView::default();
    let timeout = run.settings.timeout;
    match &run.fate {
        Fate::Waiting => {
            view.state = "waiting";
            let gone = now.saturating_sub(run.sent_at);
            match timeout {
                Some(timeout) => {
                    let left = timeout.saturating_sub(gone);
                    view.title = format!("waiting… {} left", text::seconds_left(left));
                    let thousandths = text::millis(left) * 1_000 / text::millis(timeout).max(1);
                    view.left = Some(u32::try_from(thousandths).unwrap_or(1_000).min(1_000));
                }
                None => view.title = format!("waiting… {} so far", text::seconds_left(gone)),
            }
            "The send has returned; that says nothing of the arrival.".clone_into(&mut view.detail);
        }
        Fate::Reply { after, how, .. } => {
            view.state = "reply";
            "Reply".clone_into(&mut view.title);
            view.round_trip = text::time(*after);
            how.explained().clone_into(&mut view.detail);
            if *how == How::ByStream {
                "Bytes on the stream".clone_into(&mut view.title);
            }
        }
        Fate::NoReply(waited) => {
            view.state = "timeout";
            "No reply received in time".clone_into(&mut view.title);
            view.detail = format!(
                "The program knows only that nothing came within {} s. {}",
                text::seconds(*waited),
                if run.settings.kind.is_stream() {
                    "The connection stands as far as it knows: the server may be slow, or never answer."
                } else {
                    "Whether the request was lost, or the reply, or nobody listens, it cannot tell."
                }
            );
        }
        Fate::Late { after, over, .. } => {
            view.state = "late";
            view.title = format!("Late: came after {}", text::time(*after));
            view.round_trip = text::time(*after);
            view.detail = format!(
                "{} after the timeout. A program that had stopped waiting would not have seen it, or would take it for the answer to its next request.",
                text::time(*over)
            );
        }
        Fate::Failed(error) => {
            view.state = "error";
            view.title = text::harmless(&error.name);
            view.detail = outcome::about(error);
        }
        Fate::Instead(error) => {
            view.state = "error";
            view.title = text::harmless(&error.name);
            view.detail =
                format!("recv raised it instead of returning a reply. {}", outcome::about(error));
        }
        Fate::Unknown(why) => {
            view.state = "unknown";
            view.title = format!("Unknown: {why}");
            if model.session.is_ready() {
                "The socket is closed: what arrives for it now, nobody hears."
            } else {
                "Whether it arrived and was answered cannot be known any more."
            }
            .clone_into(&mut view.detail);
        }
        Fate::Answer => {
            view.state = "answered";
            view.title = format!("Answered {}", run.to);
            "The operating system took the bytes; nothing more is known."
                .clone_into(&mut view.detail);
        }
        _ => {
            view.state = "waiting";
            view.title = if model.socket.as_ref().is_some_and(|it| it.waits_for.is_some()) {
                if run.settings.kind == SocketKind::Tcp {
                    "connecting…".to_owned()
                } else {
                    "opening the socket…".to_owned()
                }
            } else if run.is_active {
                "sending…".to_owned()
            } else {
                view.state = "idle";
                "Stopped before anything was sent".to_owned()
            };
        }
    }
    if let Some(reply) = &run.reply {
        fill(&mut view, reply);
    }
    view
}
