// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.NOT_COMPLETED;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.Recorded.PAGES;
import static org.iommu4j.tck.driver.Recorded.recording;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.capability.DirtyTracking;
import org.iommu4j.device.DeviceId;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link DirtyTracking#setDirtyTracking}. */
@NeedsAbility(Ability.DIRTY_TRACKING)
public abstract class DirtyTrackingContract {
    /** Made by JUnit. */
    protected DirtyTrackingContract() {}

    @Test
    @Promise("set-dirty-1")
    void everyDeviceIsRecordedFromTheStartToTheStop(Bench bench) {
        Recorded recorded = new Recorded(bench, true);
        // Known to units and devices before anybody records.
        for (int i = 0; i < 12; i++) {
            recorded.write(i);
            recorded.writeBySecond(i);
        }
        for (int round = 0; round < 3; round++) {
            recorded.record(true);
            recorded.clear();
            recorded.write(round);
            recorded.assertWritten(true, round);
            recorded.writeBySecond(3 + round);
            recorded.assertWritten(true, 3 + round);
            recorded.write(6);
            recorded.writeBySecond(7);
            recorded.assertWritten(true, 6, 7);
            recorded.record(false);
            recorded.write(8);
            recorded.writeBySecond(9);
            recorded.record(true);
            recorded.assertWritten(false);
            recorded.record(false);
        }
    }

    @Test
    @Promise("set-dirty-1")
    void devicesThatComeLaterAreRecordedAsWell(Bench bench) {
        Recorded recorded = new Recorded(bench, false);
        recorded.domain.detach(bench.device());
        recorded.record(true);
        recorded.clear();
        List<IommuDevice> inside = new ArrayList<>();
        int number = 0;
        for (DeviceId id : bench.ids()) {
            IommuDevice device = bench.probe(id);
            if (recorded.domain.attach(device).attached()) {
                inside.add(device);
                recorded.write(Requester.of(bench.machine(), id), recorded.at(number));
                recorded.assertWritten(true, number++);
            }
        }
        assertThat(inside).isNotEmpty();
        // Away and back again, by way of another domain.
        IommuDomain other = bench.attached();
        bench.attach(recorded.domain, bench.device());
        recorded.write(20);
        recorded.assertWritten(true, 20);
        inside.forEach(recorded.domain::detach);
        recorded.assertWritten(true);
        bench.attach(recorded.domain, bench.device());
        recorded.write(21);
        recorded.assertWritten(true, 21);
        other.close();
        // Nobody is recorded who comes after the stop.
        recorded.domain.detach(bench.device());
        recorded.record(false);
        bench.attach(recorded.domain, bench.device());
        recorded.write(22);
        recorded.record(true);
        recorded.assertWritten(true);
    }

    @Test
    @Promise("set-dirty-2")
    void startingClearsNothing(Bench bench) {
        Recorded recorded = recording(bench);
        for (int i : new int[] {0, 5, 63, 64, PAGES - 1}) {
            recorded.write(i);
        }
        recorded.writeBySecond(77);
        for (int round = 0; round < 2; round++) {
            recorded.record(false);
            recorded.record(true);
            recorded.assertWritten(false, 0, 5, 63, 64, 77, PAGES - 1);
        }
        recorded.record(false);
        recorded.domain.detach(bench.device());
        recorded.record(true);
        bench.attach(recorded.domain, bench.device());
        recorded.assertWritten(true, 0, 5, 63, 64, 77, PAGES - 1);
        recorded.assertWritten(true);
    }

    @Test
    @Promise("set-dirty-3")
    void askingForWhatIsThereChangesNothing(Bench bench) {
        Recorded recorded = new Recorded(bench, true);
        recorded.record(false);
        assertRefused(Errno.EINVAL, () -> recorded.read(recorded.bitmap(0, 1), false));
        recorded.record(true);
        recorded.clear();
        recorded.write(3);
        recorded.record(true);
        recorded.record(true);
        recorded.assertWritten(false, 3);
        recorded.writeBySecond(4);
        recorded.record(true);
        recorded.assertWritten(true, 3, 4);
        recorded.record(true);
        recorded.write(5);
        recorded.writeBySecond(6);
        recorded.assertWritten(false, 5, 6);
        // One stop undoes any number of starts.
        recorded.record(false);
        assertRefused(Errno.EINVAL, () -> recorded.read(recorded.bitmap(0, 1), false));
        recorded.record(false);
        recorded.record(false);
        assertRefused(Errno.EINVAL, () -> recorded.read(recorded.bitmap(0, 1), false));
        recorded.record(true);
        recorded.assertWritten(false, 5, 6);
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise("set-dirty-4")
    void aUnitThatDoesNotAnswerIsTold(Bench whole) {
        for (boolean start : new boolean[] {true, false}) {
            Silence silence = new Silence();
            Recorded recorded = new Recorded(whole.on(silence::in), true);
            recorded.write(1);
            recorded.record(!start);
            recorded.write(2);
            silence.during(() -> assertRefused(NOT_COMPLETED, () -> recorded.record(start)));
            if (start) {
                assertRefused(Errno.EINVAL, () -> recorded.read(recorded.bitmap(0, 1), false));
            } else {
                recorded.write(3);
                assertThat(recorded.read(0, PAGES, false)).contains(2, 3);
            }
        }
    }

    @Test
    @Promise("set-dirty-4")
    void startingAndStoppingEndsInNothingButATimeOut(Bench whole) {
        for (boolean start : new boolean[] {true, false}) {
            new EachFailure(whole).of(NOT_COMPLETED, bench -> {
                Recorded recorded = new Recorded(bench, true);
                recorded.record(!start);
                recorded.write(2);
                return new EachFailure.Attempt() {
                    @Override
                    public void run() {
                        recorded.record(start);
                    }

                    @Override
                    public void assertDone() {
                        assertState(start);
                    }

                    @Override
                    public void assertFailed(Errno errno) {
                        assertState(!start);
                    }

                    @Override
                    public void leave() {
                        recorded.detach();
                    }

                    private void assertState(boolean on) {
                        if (on) {
                            recorded.write(3);
                            recorded.writeBySecond(4);
                            assertThat(recorded.read(0, PAGES, false)).contains(3, 4);
                        } else {
                            assertRefused(Errno.EINVAL, () -> recorded.read(recorded.bitmap(0, 1), false));
                        }
                    }
                };
            });
        }
    }

    @Test
    @Promise({"set-dirty-5", "read-dirty-8"})
    void aClosedDomainRecordsNothing(Bench bench) {
        for (boolean on : new boolean[] {false, true}) {
            Recorded recorded = new Recorded(bench, true);
            recorded.record(on);
            recorded.write(1);
            recorded.domain.detach(bench.device());
            if (recorded.both) {
                recorded.domain.detach(bench.second());
            }
            recorded.domain.close();
            for (boolean flag : new boolean[] {false, true}) {
                assertRefused(Errno.ENODEV, () -> recorded.record(flag));
                DirtyBitmap bitmap = recorded.bitmap(0, 8);
                assertRefused(Errno.ENODEV, () -> recorded.read(bitmap, flag));
                assertThat(bitmap.count()).isZero();
            }
        }
    }
}
