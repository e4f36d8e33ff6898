// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.pictures;

import java.util.List;

/** The way of a DMA request through the simulated hardware, station by station. */
final class DmaPicture {
    private static final int WIDTH = 900;
    private static final int LEFT = 20;
    private static final int BOX = 520;
    private static final int SIDE = 580;
    private static final int SIDE_WIDTH = WIDTH - SIDE - 20;
    private static final int GAP = 34;

    /**
     * A station.
     *
     * @param classes the simple names of its classes, packages first where two would be meant
     * @param refusal what ends a request here, empty when nothing does
     */
    record Station(String name, String classes, String note, String refusal) {}

    private static final String CACHES = "cache.CacheHierarchy";
    private static final String DRAM = "memory.Dram";
    private static final String FAULT_LOGS = "vtd.VtdFaultLog; amdvi.AmdViEventLog";

    /** The classes where a request ends. */
    static final List<String> ENDS = List.of(CACHES, DRAM, FAULT_LOGS);

    static final List<Station> STATIONS = List.of(
            new Station(
                    "Device",
                    "pcie.Endpoint, pcie.FunctionConfig",
                    "A program asks for a transfer, with or without no-snoop. The request carries the attribute only if"
                            + " Enable No Snoop is set in Device Control.",
                    "Bus Master Enable is clear"),
            new Station(
                    "Root complex",
                    "pcie.RootComplex, pcie.Tlp",
                    "Finds the unit that serves the function, or none.",
                    "the address is an interrupt's"),
            new Station(
                    "Requester's entry",
                    "vtd.ContextCache, vtd.ScalableCaches; amdvi.DeviceTableCache",
                    "VT-d: root, context and PASID entry. AMD-Vi: device table entry. Each from a cache that can be"
                            + " stale.",
                    "not present, or reserved bits"),
            new Station(
                    "IOTLB",
                    "vtd.Iotlb; amdvi.TranslationCache",
                    "A remembered translation ends the search.",
                    "no permission"),
            new Station(
                    "Page walk",
                    "vtd.SecondStageWalker, vtd.PagingCache; amdvi.TableWalker, amdvi.WalkCache",
                    "Reads entries from memory: snooped or past the caches, as the unit's capabilities say.",
                    "not present, no permission, reserved bits"),
            new Station(
                    "Answer",
                    "spi.Translation",
                    "Address, permission, and whether snooping is forced (SNP, PGSNP, FC).",
                    ""),
            new Station(
                    "Snooped or not",
                    "spi.Fabric",
                    "Snooped unless the request carries no-snoop and the answer does not force snooping.",
                    ""));

    private DmaPicture() {}

    static String draw() {
        Svg svg = new Svg("A DMA's way: where it is decided whether caches are asked", WIDTH);
        int y = 55;
        for (int i = 0; i < STATIONS.size(); i++) {
            Station station = STATIONS.get(i);
            List<String> classes = Svg.lines(station.classes(), BOX - 60);
            int height = Svg.heightOfBox(station.note(), BOX) + 17 * classes.size() + 4;
            svg.box(LEFT, y, BOX, height, "box", station.name(), station.note());
            int at = y + height - 17 * classes.size() + 5;
            for (String line : classes) {
                svg.text(LEFT + 10, at, "code", line);
                at += 17;
            }
            if (!station.refusal().isEmpty()) {
                svg.arrow(LEFT + BOX, y + height / 2, SIDE, y + height / 2, true);
                svg.text(SIDE + 10, y + height / 2 - 3, "name", "refused");
                svg.text(SIDE + 10, y + height / 2 + 14, "note", station.refusal());
            }
            if (i < STATIONS.size() - 1) {
                svg.arrow(LEFT + BOX / 2, y + height, LEFT + BOX / 2, y + height + GAP - 2, false);
            }
            y += height + GAP;
        }
        int half = (BOX - 20) / 2;
        int bottom = Math.max(
                ending(
                        svg,
                        LEFT,
                        y,
                        half,
                        "strong",
                        "Caches",
                        CACHES,
                        "A copy is read, or written back and" + " dropped before memory is written."),
                ending(
                        svg,
                        LEFT + half + 20,
                        y,
                        half,
                        "warn",
                        "DRAM",
                        DRAM,
                        "A newer value in a cache is not" + " seen; an older copy stays in the cache."));
        svg.arrow(LEFT + BOX / 2, y - GAP, LEFT + half / 2, y - 2, false);
        svg.arrow(LEFT + BOX / 2, y - GAP, LEFT + half + 20 + half / 2, y - 2, false);
        svg.text(LEFT + 40, y - 8, "note", "snooped");
        svg.text(LEFT + BOX - 100, y - 8, "note", "not snooped");
        int log = Svg.heightOfBox("Reason, requester, address and direction are recorded.", SIDE_WIDTH) + 38;
        svg.box(
                SIDE,
                y,
                SIDE_WIDTH,
                log,
                "plain",
                "Fault log of a refused request",
                "Reason, requester, address and direction are recorded.");
        svg.text(SIDE + 10, y + log - 12, "code", FAULT_LOGS);
        return svg.toSvg(Math.max(bottom, y + log) + 20);
    }

    private static int ending(
            Svg svg, int x, int y, int width, String style, String name, String classes, String note) {
        int height = Svg.heightOfBox(note, width) + 24;
        svg.box(x, y, width, height, style, name, note);
        svg.text(x + 10, y + height - 10, "code", classes);
        return y + height;
    }
}
