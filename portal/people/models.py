"""People's place in the admin; someone in the user pool is portal.people.directory.Person."""

from portal.dynamo.records import Screen


class Person(Screen):
    class Meta(Screen.Meta):
        verbose_name = "person"
        verbose_name_plural = "people"
