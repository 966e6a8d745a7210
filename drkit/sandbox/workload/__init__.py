"""A service at work: producers and consumer groups, with a ledger of everything acknowledged and processed.

It behaves as pods do. A client finds the brokers through the sandbox's DNS. When it fails for good (its identity is
refused a write, a read or a commit; a fatal error; no broker for seconds; records that are not acknowledged in time)
it is closed, the name is asked again, and a new one is made after a pause. Nothing else moves a client, with one
exception: a consumer that has got no record for more than a second, or no answer to a commit for half of one, asks DNS
and leaves if the service is elsewhere now. Without it, a group without new records would wait at a fenced broker for
ever; in a real service a rolling restart does this. There is no resolver in between: a client sees a changed record at
once, not after its TTL.

Whatever else goes wrong ends the process, and is told by its log and by ``drkit sandbox status``.
"""
