#!/usr/bin/env python3
"""Writes `10-paper-trails.jsonl`: `python3 samples/jiangxi/paper_trails.py`.

Every line of it is lawful, and every case looks like one of the ways in which metal is made clean
on paper. It follows after `01-registry.jsonl` alone, or after all of the sample: its parties are
its own. Lines stand in the order in which they were recorded; a few say that they happened long
before. Standard library only, no randomness, no clock; all names and numbers are invented.
"""

import datetime
import json
import sys

sys.dont_write_bytecode = True
import generate as g
from generate import pct, t

FILE = "10-paper-trails"


class Trail(g.Book):
    """Books whose clock is set by hand: the next event is a minute later."""

    def advance(self, hours=0):
        self.now += datetime.timedelta(minutes=1)

    def at(self, moment):
        """Beijing time, also back in time."""
        self.now = datetime.datetime.fromisoformat(moment).replace(tzinfo=g.BEIJING)

    def wait(self, hours=0, minutes=0):
        self.now += datetime.timedelta(hours=hours, minutes=minutes)


book = g.book = Trail()
# yapf: disable
# name: (zh, en, role, region, licences, affiliation)
SCRAP = ["RENEWABLE_RESOURCE_RECYCLING"]
BATTERIES = ["RENEWABLE_RESOURCE_RECYCLING", "HAZARDOUS_WASTE"]
EARTHS = ["RARE_EARTH_RECOVERY"]
PARTIES = {
    "heavy-scales-yard": ("虚构甲货场", "Fictional Yard A", "COLLECTOR", "360702", SCRAP, None),
    "heavy-scales-buyer": ("虚构甲贸易", "Fictional Trader A", "TRADER", "360704", [], None),
    "ring-one": ("虚构环一", "Fictional Ring One", "COLLECTOR", "360702", SCRAP, None),
    "ring-two": ("虚构环二", "Fictional Ring Two", "COLLECTOR", "360681", SCRAP, None),
    "ring-three": ("虚构环三", "Fictional Ring Three", "COLLECTOR", "360121", SCRAP, None),
    "sleeper": ("虚构乙货场", "Fictional Yard B", "COLLECTOR", "360983", SCRAP, None),
    "battery-yard": ("虚构电池货场", "Fictional Battery Yard", "COLLECTOR", "360924", BATTERIES, None),
    "battery-works": ("虚构电池厂", "Fictional Battery Works", "SMELTER", "360924", BATTERIES, None),
    "battery-works-2": ("虚构电池二厂", "Fictional Second Battery Works", "SMELTER", "360923", BATTERIES, None),
    "far-buyer": ("虚构广州贸易", "Fictional Guangzhou Trader", "TRADER", "440111", [], None),
    "north-yard": ("虚构丙货场", "Fictional Yard C", "COLLECTOR", "360425", SCRAP, None),
    "assay-yard": ("虚构丁货场", "Fictional Yard D", "COLLECTOR", "360703", SCRAP, None),
    "assay-buyer": ("虚构丁贸易", "Fictional Trader D", "TRADER", "360704", [], None),
    "grade-yard": ("虚构戊货场", "Fictional Yard E", "COLLECTOR", "360722", SCRAP, None),
    "late-yard": ("虚构己货场", "Fictional Yard F", "COLLECTOR", "360723", SCRAP, None),
    "ended-yard": ("虚构庚货场", "Fictional Yard G", "COLLECTOR", "360724", SCRAP, None),
    "import-yard": ("虚构辛货场", "Fictional Yard H", "COLLECTOR", "360725", SCRAP, None),
    "correcting-yard": ("虚构壬货场", "Fictional Yard I", "COLLECTOR", "360726", SCRAP, None),
    "ticket-yard": ("虚构癸货场", "Fictional Yard J", "COLLECTOR", "360728", SCRAP, None),
    "round-yard": ("虚构整数货场", "Fictional Round Yard", "COLLECTOR", "360729", SCRAP, None),
    "plant-alone": ("虚构独立回收厂", "Fictional Plant Alone", "RARE_EARTH_RECOVERY_PLANT", "360783", EARTHS,
        ("INDEPENDENT", "2016-01-01T00:00:00+08:00")),
    "plant-gone": ("虚构退出回收厂", "Fictional Plant Gone", "RARE_EARTH_RECOVERY_PLANT", "360783", EARTHS,
        ("EXITED", "2026-03-01T00:00:00+08:00")),
    "plant-member": ("虚构成员回收厂", "Fictional Member Plant", "RARE_EARTH_RECOVERY_PLANT", "360704", EARTHS,
        ("COOPERATION_AGREEMENT", "2025-01-01T00:00:00+08:00")),
}
# yapf: enable
WASTE = {"HAZARDOUS_WASTE": ["900-052-31"]}
# Whose licence ends in the middle of it.
ENDS = {"ended-yard": "2026-06-01T00:00:00+08:00"}


def newcomers():
    say = lambda name, body: book.event(name, "coordinator", body)
    for number, (name, row) in enumerate(PARTIES.items()):
        zh, en, role, region, licences, joined = row
        g.PARTIES[name] = (zh, en, [role], region, "91")
        g.SITES[f"{name}/yard"] = (name, zh, en, region, "", [], 0)
        record = g.party_record(name)
        record["credit_code"] = g.credit_code(601 + number, region, "91")
        say(f"party/{name}", {"register_party": {"party": record}})
        key = {"party_id": f"@party/{name}", "public_key": f"@key/{name}", "valid_from_ms": g.YEAR}
        say(f"key/{name}", {"register_key": key})
        say(f"site/{name}", {"register_site": {"site": g.site_record(f"{name}/yard")}})
        for kind in licences:
            until = ENDS.get(name, "2029-01-01T00:00:00+08:00")
            record = g.licence_record(name, kind, WASTE.get(kind, []), until)
            say(f"licence/{name}/{kind.lower()}", {"register_licence": {"licence": record}})
        if joined:
            record = g.affiliation_record(name, name, *joined)
            say(f"affiliation/{name}", {"register_affiliation": {"affiliation": record}})


def yard(name):
    return name, f"{name}/yard"


def copper(name, of, net, material="CU_SCRAP_NO2", **more):
    region = PARTIES[of][3]
    return g.collect(name, *yard(of), material, "WIRE", t(net) + 14_940_000, 14_940_000, region, **more)


def sell(name, sender, consignee, vehicle, hours=6, minutes=0, excess=0, **more):
    """The whole lot goes over; `excess` grams more arrive than were sent."""
    sent = g.offer(name, *yard(sender), *yard(consignee), vehicle=vehicle, **more)
    book.wait(hours, minutes)
    if not excess:
        return g.accept(sent)
    lot = book.lots[name]
    grams = book.offers[sent][1]
    lot.reserved, lot.owner, lot.holder = 0, consignee, consignee
    lot.site = f"{consignee}/yard"
    body = {"offer_event_id": f"@event/{sent}", "received": g.weighed(grams + excess)}
    book.event("accept/" + sent.removeprefix("offer/"), consignee, {"accept_transfer": body}, lot.site)
    lot.last = book.now
    return name


def arrives_heavier():
    """A5: the buyer's scales find 80 kg that nobody sent."""
    book.at("2026-05-04T08:00")
    copper("pt-heavier", "heavy-scales-yard", "20")
    sell("pt-heavier", "heavy-scales-yard", "heavy-scales-buyer", "赣B0A501", excess=80_000)


def goes_round():
    """A7: one lot comes home through two others; then as much metal as was sold comes back."""
    ring = ["ring-one", "ring-two", "ring-three", "ring-one"]
    book.at("2026-05-06T08:00")
    copper("pt-ring", ring[0], "23.46")
    for day, (sender, consignee) in enumerate(zip(ring, ring[1:])):
        book.at(f"2026-05-{7 + 2 * day:02d}T08:00")
        sell("pt-ring", sender, consignee, f"赣B0A70{day}")
    for day, (sender, consignee) in enumerate(zip(ring, ring[1:])):
        book.at(f"2026-05-{14 + 2 * day:02d}T08:00")
        name = copper(f"pt-swap-{day}", sender, ["18.72", "18.94", "18.66"][day],
                      material="CU_SCRAP_LIGHT")
        sell(name, sender, consignee, f"赣B0A71{day}")


def takes_its_time():
    """A9: an offer that nobody answers, and a manifest that is confirmed after nine days. What was
    collected in January lies until July."""
    book.at("2026-05-21T08:00")
    copper("pt-adrift", "sleeper", "12.34")
    g.offer("pt-adrift", *yard("sleeper"), *yard("heavy-scales-buyer"), vehicle="赣B0A901")
    book.at("2026-05-22T08:00")
    batteries("pt-battery-slow", "21.34")
    sent = g.offer("pt-battery-slow", *yard("battery-yard"), *yard("battery-works"),
                   vehicle="赣C0A902", region="360924")
    book.wait(hours=9 * 24)
    g.accept(sent)


def batteries(name, net):
    return g.collect(name, *yard("battery-yard"), "PB_BATTERY", "WHOLE_UNIT", t(net) + t("15.6"),
                     t("15.6"), "360924")


def flies():
    """A10: fifty minutes to Guangzhou, and a vehicle that arrives in Guixi and an hour later, with a
    load from Nanchang, in Yongxiu."""
    book.at("2026-06-02T08:00")
    copper("pt-flight", "heavy-scales-yard", "16.18")
    sell("pt-flight", "heavy-scales-yard", "far-buyer", "赣B0AA01", hours=0, minutes=49)
    book.at("2026-06-03T08:00")
    copper("pt-teleport-1", "ring-one", "14.28")
    copper("pt-teleport-2", "ring-three", "13.74")
    sell("pt-teleport-1", "ring-one", "ring-two", "赣B0AA02")
    book.wait(minutes=9)
    sell("pt-teleport-2", "ring-three", "north-yard", "赣B0AA02", hours=0, minutes=49)


def improves_on_the_way():
    """A11: the buyer finds less copper than was sold; two lots of No. 2 are mixed to bare bright."""
    book.at("2026-06-05T08:00")
    found = lambda parts: g.composition({"CU": pct(parts)}, method="XRF")
    g.assay(copper("pt-drift", "assay-yard", "17.36"), *yard("assay-yard"), found("94.6"))
    sell("pt-drift", "assay-yard", "assay-buyer", "赣B0AB01")
    g.assay("pt-drift", *yard("assay-buyer"), found("90"), event="assay/pt-drift/again")
    place = yard("grade-yard")
    parents = [copper("pt-birch", place[0], "8.14", grades=[("ReMA", "Birch")]),
               copper("pt-cliff", place[0], "7.92", grades=[("ReMA", "Cliff")])]
    draws = []
    for name in parents:
        lot = book.use(name, *place)
        draws.append({"lot_id": f"@lot/{name}", "mass_g": g.mass(lot.remaining)})
        lot.draw(lot.remaining)
    output = book.new("pt-barley", "CU_SCRAP_NO2", "WIRE", t("16.06"), *place, None,
                      [("ReMA", "Barley")])
    book.event("merge/pt-barley", place[0], {"merge_lots": {"parents": draws, "output": output}},
               place[1])


def corrects_before_the_report():
    """A14: four loads are taken back on the ninth of June."""
    book.at("2026-06-09T08:00")
    for load in range(4):
        name = f"pt-taken-back-{load}"
        copper(name, "correcting-yard", ["6.38", "6.82", "7.14", "7.46"][load])
        g.declare(name, "correcting-yard", f"collect/{name}", "DID_NOT_OCCUR", "booked by mistake")
        del book.lots[name]


def serves_twice():
    """A15: a ticket for two loads, a manifest for two works, a vehicle on two roads, round loads."""
    book.at("2026-06-11T08:00")
    copper("pt-ticket-1", "ticket-yard", "9.18")
    book.ticket -= 1
    copper("pt-ticket-2", "ticket-yard", "9.18")
    book.at("2026-06-12T08:00")
    for number, works in enumerate(["battery-works", "battery-works-2"]):
        batteries(f"pt-battery-{number}", ["19.26", "20.38"][number])
        if number:
            book.ticket = manifest - 1
        sent = g.offer(f"pt-battery-{number}", *yard("battery-yard"), *yard(works),
                       vehicle=f"赣C0AF0{number}", region="360924")
        manifest = book.ticket
        book.ticket = 60_000 + number * 100
        book.wait(hours=3)
        g.accept(sent)
    two_roads()
    for load in range(30):
        book.at(f"2026-06-{16 + load // 3:02d}T{8 + 3 * (load % 3):02d}:00")
        copper(f"pt-round-{load}", "round-yard", str(4 + load % 5))


def two_roads():
    book.at("2026-06-15T07:00")
    copper("pt-road-1", "ring-one", "11.26")
    copper("pt-road-2", "ring-two", "12.62")
    book.at("2026-06-15T08:00")
    first = g.offer("pt-road-1", *yard("ring-one"), *yard("ring-three"), vehicle="赣B0AF05")
    book.at("2026-06-15T11:00")
    second = g.offer("pt-road-2", *yard("ring-two"), *yard("north-yard"), vehicle="赣B0AF05")
    book.at("2026-06-15T16:00")
    g.accept(first)
    book.at("2026-06-15T19:00")
    g.accept(second)


def sells_past_the_mechanism():
    """A17: a plant that nobody covers sells to one that is covered; one that left the market buys."""
    book.at("2026-06-29T08:00")
    for name, of in (("pt-ends-1", "plant-alone"), ("pt-ends-2", "plant-member")):
        g.collect(name, *yard(of), "RE_NDFEB_ENDS", "LUMP", t("18.26"), t("12.02"), PARTIES[of][3],
                  origin="PRE_CONSUMER")
    sell("pt-ends-1", "plant-alone", "plant-member", "赣B0AH01")
    sell("pt-ends-2", "plant-member", "plant-gone", "赣B0AH02")


def tells_it_late():
    """A12: in July a yard that records every week remembers May; another's licence has ended
    since; a third brings its history."""
    for day in ("2026-05-05", "2026-05-29", "2026-06-30"):
        book.at(f"{day}T15:00")
        copper(f"pt-weekly-{day}", "late-yard", "5.22")


def remembers():
    book.at("2026-05-20T09:00")
    copper("pt-remembered", "late-yard", "24.68")
    book.at("2026-05-25T09:00")
    copper("pt-unlicensed", "ended-yard", "13.46")
    book.at("2026-04-14T09:00")
    copper("pt-history-1", "import-yard", "9.74")
    book.at("2026-04-15T09:00")
    copper("pt-history-2", "import-yard", "9.58")


def in_order_of_time():
    """What was recorded on time stands where it happened."""
    lines = book.files[FILE]
    lines.sort(key=lambda line: line["occurred_at"])


def main():
    book.file, book.ticket = FILE, 50_000
    book.files[FILE] = []
    book.at("2026-01-09T08:00")
    newcomers()
    book.at("2026-01-12T09:00")
    copper("pt-sleeper", "sleeper", "15.66")
    arrives_heavier()
    goes_round()
    takes_its_time()
    flies()
    improves_on_the_way()
    corrects_before_the_report()
    serves_twice()
    sells_past_the_mechanism()
    tells_it_late()
    in_order_of_time()
    # What was touched in January has lain for half a year.
    book.at("2026-07-13T08:00")
    copper("pt-last", "heavy-scales-yard", "10.42")
    remembers()
    lines = book.files[FILE]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (g.HERE / f"{FILE}.jsonl").write_text(text, encoding="utf-8", newline="\n")
    print(f"{FILE}: {len(lines)} events")


if __name__ == "__main__":
    main()
