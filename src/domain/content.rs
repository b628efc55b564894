//! The words of a mail: short, ordinary business English between colleagues, no links, nothing tracked.
//!
//! A draft is chosen before the reservation, because the ledger keeps the subject; the greeting is added after it, when
//! the partner is known.

/// A mail before it has a sender and a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub subject: String,
    body: &'static str,
}

/// Returns the draft that `dice` (64 random bits) chooses.
pub fn draft(dice: u64) -> Draft {
    let place = (u128::from(dice) * DRAFTS.len() as u128) >> 64;
    let (subject, body) = DRAFTS[place as usize];
    Draft { subject: subject.to_owned(), body }
}

/// Returns the answer that `dice` chooses to a mail with this subject.
pub fn reply(dice: u64, subject: &str) -> Draft {
    Draft { subject: format!("Re: {subject}"), body: pick(&REPLIES, dice) }
}

impl Draft {
    /// Returns the body as plain text with a greeting to `recipient` and signed by `sender`, both display names; an
    /// empty name is left out. `dice` varies greeting and closing.
    pub fn text(&self, sender: &str, recipient: &str, dice: u64) -> String {
        let greeting = pick(&GREETINGS, dice);
        let closing = pick(&CLOSINGS, dice.rotate_left(32));
        let to = if recipient.is_empty() { String::new() } else { format!(" {recipient}") };
        let from = if sender.is_empty() { String::new() } else { format!("\n{sender}") };
        format!("{greeting}{to},\n\n{}\n\n{closing}{from}\n", self.body)
    }
}

fn pick(words: &[&'static str], dice: u64) -> &'static str {
    words[((u128::from(dice) * words.len() as u128) >> 64) as usize]
}

const REPLIES: [&str; 2] = ["Thanks, that works for me.", "Good, let us do it that way."];

const GREETINGS: [&str; 4] = ["Hello", "Hi", "Good day", "Good morning"];
const CLOSINGS: [&str; 5] = ["Best regards,", "Kind regards,", "Many thanks,", "All the best,", "Thanks,"];

const DRAFTS: [(&str, &str); 16] = [
    (
        "Notes from this morning",
        "I wrote down the main points while they were fresh: the order is confirmed, the samples arrive on Thursday, \
         and we still need somebody for the front desk next week.\n\nTell me if I missed something.",
    ),
    (
        "Room for the Tuesday meeting",
        "The large room is taken until eleven, so I put us into the small one beside the kitchen. It has a screen and \
         enough chairs for six.\n\nShall I order coffee?",
    ),
    (
        "Question about the delivery dates",
        "The supplier offers two dates, the 4th and the 11th. The earlier one costs a little more. I would take the \
         later one unless your team is waiting for the parts.",
    ),
    (
        "Draft of the summary",
        "I shortened the summary to one page and moved the figures to the end. The second paragraph still reads a bit \
         stiff. Could you have a look when you find ten minutes?",
    ),
    (
        "Holiday cover in the last week",
        "I will be away from Monday to Friday. Jonas takes the calls, and the open invoices are in the blue folder. \
         Nothing should be urgent, but you can reach me in the evening.",
    ),
    (
        "Numbers for the quarter",
        "The first count is ready. We are slightly above last year, mostly because of the spring orders. I will check \
         the returns tomorrow and send the final table then.",
    ),
    (
        "Your feedback on the brochure",
        "Thank you for the comments. I changed the second picture and took out the long sentence on the back. The \
         printer needs the file by noon on Wednesday.",
    ),
    (
        "Lunch on Thursday?",
        "A few of us are going to the place at the corner on Thursday at half past twelve. It would be good to have \
         you there, there is a lot to catch up on.",
    ),
    (
        "Spare keys for the archive",
        "There are two spare keys for the archive now. One is with reception, the other one in the drawer by the \
         window. Please sign the list when you take one.",
    ),
    (
        "Short call tomorrow",
        "Would you have a quarter of an hour tomorrow afternoon? I would like to go through the open points before we \
         talk to the customer. Any time after two suits me.",
    ),
    (
        "Printer on the second floor",
        "The printer on the second floor works again; it was only the tray. If it shows the old message once more, \
         switch it off for a minute.",
    ),
    (
        "Training in spring",
        "The dates for the training are out: two days in March, with a third one for those who want the practical part. \
         I would reserve four places for us. Does that fit your plans?",
    ),
    (
        "Minutes and next steps",
        "The minutes are in the usual place. For us there are two things to do: the list of contacts, which I take, and \
         the price comparison, which would be yours. The end of next week is early enough.",
    ),
    (
        "Change of address at the warehouse",
        "The warehouse has moved to the new building across the yard. Deliveries go to gate three from now on. I have \
         told the two carriers, but a word to your drivers would help.",
    ),
    (
        "Welcome to the new colleague",
        "Marta starts on Monday and will sit with us for the first month. I prepared a small plan for her first days. \
         Could you show her the order system on Tuesday morning?",
    ),
    (
        "Reminder about the inventory",
        "We count the stock on the last Friday of the month, as every year. It took three hours last time, and with one \
         more pair of hands it should be done before lunch.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_draft_can_be_chosen_and_no_subject_comes_twice() {
        let step = u64::MAX / DRAFTS.len() as u64 + 1;
        let subjects: HashSet<_> = (0..DRAFTS.len() as u64).map(|i| draft(i * step).subject).collect();
        assert_eq!(subjects.len(), DRAFTS.len());
        assert_eq!(draft(u64::MAX), draft((DRAFTS.len() as u64 - 1) * step));
    }

    #[test]
    fn a_mail_greets_and_signs_by_name() {
        let text = draft(0).text("Ada Lovelace", "Grace Hopper", 0);
        assert!(text.starts_with("Hello Grace Hopper,\n\n"), "{text}");
        assert!(text.ends_with("Best regards,\nAda Lovelace\n"), "{text}");
        assert!(draft(0).text("", "", u64::MAX).starts_with("Good morning,\n\n"));
    }

    #[test]
    fn nothing_links_anywhere() {
        assert!(DRAFTS.iter().all(|(_, body)| !body.contains("http") && !body.contains("www.")));
    }
}
