// SPDX-License-Identifier: Apache-2.0
// Run by the invoker plug-in when the project is built: what came along, and does it run?
def path = new File(basedir, 'target/runtime-path.txt').text.trim()
// .../artifact/version/artifact-version.jar
def got = path.split(File.pathSeparator).collect { new File(it).parentFile.parentFile.name }.sort()
if (!got.contains('guice') || !path.contains('guava-')) {
    throw new IllegalStateException("a consumer that adds Guice gets $got")
}

def all = new File(basedir, 'target/classes').path + File.pathSeparator + path
def java = System.getProperty('java.home') + '/bin/java'
def output = new File(basedir, 'target/output.txt')
// Guice is an automatic module, and so can't say that it needs Guava and jakarta.inject, which are modules.
def exit = new ProcessBuilder([java, '-p', all, '--add-modules', 'ALL-MODULE-PATH',
        '-m', 'com.example.simulation/com.example.simulation.Main'] as List<String>)
        .redirectErrorStream(true)
        .redirectOutput(output)
        .start()
        .waitFor()
if (exit != 0 || !output.text.contains('opened intel [dmar0] on a machine from module org.iommu4j.sim')) {
    throw new IllegalStateException("exit code $exit: ${output.text}")
}
true
