// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.pictures;

import java.util.List;

/** The locks of a driver in the order in which a thread may take them: never one that stands above. */
final class LockOrderPicture {
    private static final int WIDTH = 760;
    private static final int LEFT = 20;
    private static final int BOX = WIDTH - 2 * LEFT;
    private static final int GAP = 30;

    /**
     * A lock.
     *
     * @param name what a thread holds
     * @param owner the simple name of the class that takes it
     * @param guards what it guards
     * @param taken how its source takes it
     */
    record Lock(String name, String owner, String guards, String taken) {}

    private LockOrderPicture() {}

    /**
     * Draws a driver's locks.
     *
     * @param locks outermost first
     * @param without what takes no lock at all
     */
    static String draw(String title, List<Lock> locks, String without) {
        Svg svg = new Svg(title, WIDTH);
        int y = 55;
        for (int i = 0; i < locks.size(); i++) {
            Lock lock = locks.get(i);
            int height = Svg.heightOfBox(lock.guards(), BOX);
            svg.box(LEFT, y, BOX, height, "box", lock.name() + " (" + lock.owner() + ")", lock.guards());
            if (i < locks.size() - 1) {
                svg.arrow(LEFT + BOX / 2, y + height, LEFT + BOX / 2, y + height + GAP - 2, false);
            }
            y += height + GAP;
        }
        int height = Svg.heightOfBox(without, BOX);
        svg.box(LEFT, y, BOX, height, "plain", "No lock", without);
        return svg.toSvg(y + height + 20);
    }
}
