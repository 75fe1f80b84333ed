//! x
use web::app::code::{python,rust};use web::app::form::*;use std::time::Duration;
#[test] fn dump(){
 for (kind,w) in SocketKind::ALL { for times in [1u32,3] { for (a,an) in [(AnswerMode::ByHand,"hand"),(AnswerMode::Ack,"ack"),(AnswerMode::Fixed,"fixed")] { for msg in ["Hello \"x\" \\ é","p {n}.{n}","{n}","{n} z", ""] { for hex in [false,true] { for to in [None,Some(Duration::from_millis(500))] {
  if !kind.is_server() && an!="hand" {continue}
  let mut f=Form{kind,answer:a,..Form::default()};
  f.compose_mut().typed=if hex {"00 ff {n} 22".into()} else {msg.into()};
  if hex { if msg!="" {continue}; f.compose_mut().notation=web::app::compose::Notation::Hex; }
  let mut s=f.settings(&[]).unwrap(); s.times=times; s.timeout=to; s.gap=if times>1&&to.is_some(){Duration::from_millis(50)}else{Duration::ZERO}; if to.is_some() {s.local_port=if kind.is_server(){20010}else{5077};}
  if kind==SocketKind::Tcp {s.port=9999}
  let i=format!("{w}-{times}-{an}-{}-{hex}-{}",msg.len(),to.is_some());
  std::fs::write(format!("/tmp/progs/{i}.py"),python(&s)).unwrap(); std::fs::write(format!("/tmp/progs/{i}.rs"),rust(&s)).unwrap();
 }}}}}}
}
